"""Runs a prepared statement seven times and prints what came: one line for each run, "name plain".

Usage: repeated.py psycopg|psycopg-binary|psycopg2|asyncpg, with libpq's environment variables saying where.
"""
import asyncio
import os
import sys

SQL = "SELECT name, plain FROM items WHERE id = "


def run_psycopg(binary):
    import psycopg

    with psycopg.connect(autocommit=True) as conn:
        for _ in range(7):
            cur = conn.cursor(binary=binary)
            print(*cur.execute(SQL + "%s", (1,), prepare=True).fetchone())
        with conn.transaction(), conn.cursor("server_side", binary=binary) as cur:
            print(*cur.execute(SQL + "%s", (1,)).fetchone())


def run_psycopg2():
    import psycopg2

    conn = psycopg2.connect("")
    cur = conn.cursor()
    cur.execute("PREPARE once (int) AS " + SQL + "$1")
    for _ in range(7):
        cur.execute("EXECUTE once (%s)", (1,))
        print(*cur.fetchone())
    named = conn.cursor("server_side")
    named.execute(SQL + "%s", (1,))
    print(*named.fetchone())
    conn.close()


async def run_asyncpg():
    import asyncpg

    conn = await asyncpg.connect(ssl=False)
    statement = await conn.prepare(SQL + "$1::int")
    for _ in range(3):
        print(*await statement.fetchrow(1))
    for _ in range(4):
        print(*await conn.fetchrow(SQL + "$1::int", 1))
    async with conn.transaction():
        async for row in conn.cursor(SQL + "$1::int", 1):
            print(*row)
    await conn.close()


client = sys.argv[1]
if client == "asyncpg":
    asyncio.run(run_asyncpg())
elif client == "psycopg2":
    run_psycopg2()
else:
    run_psycopg(client == "psycopg-binary")
