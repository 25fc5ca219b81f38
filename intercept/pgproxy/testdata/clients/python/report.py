"""Exercises psycopg 3 and prints a JSON report; ../README.md says what is in it."""

import datetime
import decimal
import hashlib
import json
import os
import threading
import time
import uuid

import psycopg
from psycopg.types.json import Jsonb

INSERT = "INSERT INTO client_rows VALUES (%s, %s, %s)"
SLEEPING = """SELECT count(*) FROM pg_stat_activity
    WHERE wait_event = 'PgSleep' AND datname = current_database() AND application_name = 'client-python'"""


def connect(**more):
    # libpq reads the PG variables.
    return psycopg.connect(application_name="client-python", autocommit=True, **more)


def plain(value):
    """Returns value in types that JSON has, without losing what Python type it was."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if value is None or isinstance(value, (bool, int, str, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes:" + bytes(value).hex()
    return f"{type(value).__name__}:{value}"


def diagnosis(diag, kind):
    return {
        "type": kind,
        "code": diag.sqlstate,
        "severity": diag.severity_nonlocalized,
        "message": diag.message_primary,
        "detail": diag.message_detail,
        "hint": diag.message_hint,
        "position": diag.statement_position,
        "constraint": diag.constraint_name,
        "table": diag.table_name,
    }


def describe(err):
    if isinstance(err, psycopg.Error) and err.diag.sqlstate:
        return diagnosis(err.diag, type(err).__name__)
    return {"type": type(err).__name__, "message": str(err)}


def shape(cur):
    out = {"status": cur.statusmessage, "count": cur.rowcount}
    if cur.description is not None:
        out["fields"] = [[c.name, c.type_code] for c in cur.description]
        out["rows"] = plain(cur.fetchall())
    return out


def run(conn, sql, params=None, **how):
    with conn.cursor(binary=how.pop("binary", False)) as cur:
        return shape(cur.execute(sql, params, **how))


def refused(conn, sql, params=None, **how):
    try:
        conn.execute(sql, params, **how)
    except psycopg.Error as err:
        return describe(err)
    raise RuntimeError(f"no error from {sql}")


def clear(conn, step):
    conn.execute("DELETE FROM client_rows WHERE step = %s", (step,))


def count(conn, step):
    return conn.execute("SELECT count(*) FROM client_rows WHERE step = %s", (step,)).fetchone()[0]


def status(conn):
    return conn.info.transaction_status.name


def simple(conn):
    several = []
    cur = conn.execute("SELECT 1 AS a; SELECT 2 AS b, NULL AS c; SELECT id FROM client_people ORDER BY id")
    several.append(shape(cur))
    while cur.nextset():
        several.append(shape(cur))
    return {
        "one": run(conn, "SELECT 'x' AS text, 1.50 AS num, true AS yes"),
        "several": several,
        "table": run(conn, "SELECT * FROM client_people ORDER BY id"),
        "alias": run(conn, "SELECT p.email AS contact FROM client_people AS p ORDER BY p.id"),
        "empty": run(conn, "SELECT id FROM client_people WHERE false"),
    }


TYPES = """SELECT %s::int2 AS i2, %s::int8 AS i8, %s::float8 AS f8, %s::numeric AS num, %s::bool AS b, %s::text AS t,
    %s::bytea AS raw, %s::date AS d, %s::timestamptz AS tz, %s::jsonb AS j, %s::uuid AS u, %s::text[] AS list,
    %s::interval AS span, %s::text AS missing"""


def type_values():
    noon = datetime.datetime(2024, 2, 29, 12, 0, tzinfo=datetime.timezone.utc)
    return (
        7, 9007199254740993, 0.1, decimal.Decimal("123456789.000000001"), True, "it's ünïcode \\", b"\x00\x01\xff",
        datetime.date(2024, 2, 29), noon, Jsonb({"a": [1, None, "b"]}), uuid.UUID("6d9f0f9e-5f0b-4e0f-9d0a-0f1e2d3c4b5a"),
        ["a", None, 'c,"d'], datetime.timedelta(days=1, seconds=7384), None,
    )


def types(conn):
    return run(conn, TYPES, type_values())


def binary(conn):
    return {
        "types": run(conn, TYPES, type_values(), binary=True),
        "people": run(conn, "SELECT * FROM client_people WHERE id > %s ORDER BY id", (0,), binary=True),
    }


def prepared(conn):
    out = []
    for i in range(1, 4):
        out.append(run(conn, "SELECT name, email FROM client_people WHERE id = %s", (i,), prepare=True))
        out.append(run(conn, "SELECT %s::int + %s::int AS sum", (i, 40), prepare=True))
        out.append(run(conn, "SELECT 1 AS between"))
    broken = refused(conn, "SELECT 1 / %s::int", (0,), prepare=True)
    out.append(run(conn, "SELECT name, email FROM client_people WHERE id = %s", (4,), prepare=True))
    return {"out": out, "broken": broken}


def transaction(conn):
    clear(conn, "py-tx")
    seen = [status(conn)]
    with conn.transaction():
        conn.execute(INSERT, (1101, "py-tx", "kept"))
        try:
            with conn.transaction():
                conn.execute(INSERT, (1102, "py-tx", "lost"))
                seen += [status(conn), count(conn, "py-tx")]
                raise psycopg.Rollback
        except psycopg.Rollback:
            pass
        seen.append(count(conn, "py-tx"))
    with conn.transaction(force_rollback=True):
        conn.execute("UPDATE client_rows SET note = %s WHERE step = %s", ("changed", "py-tx"))
    seen.append(status(conn))
    left = run(conn, "SELECT id, note FROM client_rows WHERE step = 'py-tx'")
    clear(conn, "py-tx")
    return {"seen": seen, "left": left}


def errors(conn):
    clear(conn, "py-err")
    conn.execute(INSERT, (1201, "py-err", ""))
    out = {
        "syntax": refused(conn, "SELEC 1"),
        "table": refused(conn, "SELECT * FROM no_such_table"),
        "column": refused(conn, "SELECT nope FROM client_people WHERE id = %s", (1,)),
        "division": refused(conn, "SELECT 1 / %s::int", (0,)),
        "unique": refused(conn, INSERT, (1201, "py-err", "")),
        "second": refused(conn, "SELECT 1; SELECT 1/0; SELECT 2"),
    }
    conn.execute("BEGIN")
    refused(conn, "SELECT 1/0")
    out["failed"] = status(conn)
    out["in_failed"] = refused(conn, "SELECT 1")
    out["end"] = conn.execute("COMMIT").statusmessage
    out["after"] = [run(conn, "SELECT 1 AS alive"), status(conn)]
    clear(conn, "py-err")
    return out


def notice(conn):
    notices = []
    conn.add_notice_handler(lambda diag: notices.append(diagnosis(diag, "notice")))
    result = run(conn, "SELECT client_notice(%s)", ("hello",))
    conn.execute("ROLLBACK")
    return {"notices": notices, "result": result}


def portal(conn):
    text = "SELECT i, i * i AS square FROM generate_series(1, %s::int) AS i"
    out = {}
    with conn.cursor() as cur:
        out["stream"] = plain(list(cur.stream(text, (5,))))
    with conn.transaction():
        with conn.cursor(name="held") as cur:
            cur.execute(text, (10,))
            out["declared"] = [plain(cur.fetchmany(4)) for _ in range(4)]
    out["after"] = [run(conn, "SELECT 1 AS alive"), status(conn)]
    return out


def pipeline(conn):
    clear(conn, "py-pipe")
    out = []
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int AS n", (i,), prepare=i % 2 == 0) for i in range(20)]
        out.append([c.fetchone()[0] for c in cursors])
    answers = []
    try:
        with conn.pipeline() as pipe:
            answers.append(conn.execute(INSERT, (1301, "py-pipe", "before the error")))
            answers.append(conn.execute("SELECT 1 / %s::int", (0,)))
            answers.append(conn.execute(INSERT, (1302, "py-pipe", "after the error")))
            pipe.sync()
    except psycopg.Error as err:
        out.append(describe(err))
    out += [count(conn, "py-pipe"), status(conn)]
    with conn.pipeline() as pipe:
        conn.execute(INSERT, (1303, "py-pipe", "first sync"))
        pipe.sync()
        conn.execute(INSERT, (1304, "py-pipe", "second sync"))
    out.append(count(conn, "py-pipe"))
    clear(conn, "py-pipe")
    return out


def cancel_when_asleep(conn):
    with connect() as watcher:
        end = time.monotonic() + 20
        while watcher.execute(SLEEPING).fetchone()[0] != 1 and time.monotonic() < end:
            time.sleep(0.02)
    conn.cancel()


def cancel(conn):
    canceller = threading.Thread(target=cancel_when_asleep, args=(conn,))
    canceller.start()
    error = refused(conn, "SELECT pg_sleep(60)")
    canceller.join()
    return {"error": error, "after": run(conn, "SELECT 1 AS alive")}


def large(conn):
    rows = int(os.environ.get("HEADGATE_CLIENT_MB") or 8) * 2000
    text = "SELECT i, repeat(chr(97 + i %% 26), 500) AS filler FROM generate_series(1, %s::int) AS i"
    seen, digest = 0, hashlib.sha256()
    with conn.cursor() as cur:
        for i, filler in cur.stream(text, (rows,)):
            digest.update(f"{i}:{filler}\n".encode())
            seen += 1
    return {"seen": seen, "hash": digest.hexdigest()}


def parallel(_):
    out = {}

    def work(n):
        with connect() as conn:
            out[n] = [conn.execute("SELECT %s::int", (n * 10 + i,)).fetchone()[0] for i in range(10)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return [out[n] for n in range(5)]


def copy(conn):
    clear(conn, "py-copy")
    with conn.cursor() as cur:
        with cur.copy("COPY client_rows FROM STDIN") as into:
            for i in range(5):
                into.write_row((1400 + i, "py-copy", None if i % 2 else "tab\tand\nline"))
        with cur.copy("COPY (SELECT id, note FROM client_rows WHERE step = 'py-copy' ORDER BY id) TO STDOUT") as out:
            rows = plain(list(out.rows()))
    clear(conn, "py-copy")
    return {"rows": rows, "after": run(conn, "SELECT 1 AS alive")}


STEPS = (simple, types, prepared, binary, transaction, errors, notice, portal, pipeline, cancel, large, parallel, copy)


def attempt(step):
    try:
        with connect() as conn:
            return step(conn)
    except Exception as err:  # a step that fails is part of the report
        return {"error": describe(err)}


print(json.dumps({
    "client": f"psycopg {psycopg.__version__}",
    "steps": {step.__name__: attempt(step) for step in STEPS},
}, indent=1))
