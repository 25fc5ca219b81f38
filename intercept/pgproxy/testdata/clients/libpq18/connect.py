"""Connects by a libpq of PostgreSQL 18 and runs one query.

Arguments: the library's path, a connection string, a query, and a bearer token
for OAUTHBEARER or nothing. Prints a JSON object: "rows" or "error", "asked", how
often the library asked for a token, and "discovery", where it was sent to.
"""
import ctypes
import json
import sys

BEARER_TOKEN = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN


class Request(ctypes.Structure):
    """PGoauthBearerRequest."""

    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("start", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    ]


def main():
    path, conninfo, query, token = (sys.argv[1:] + [""])[:4]
    pq = ctypes.CDLL(path)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in [
        ("PQconnectdb", pointer, [text]), ("PQstatus", ctypes.c_int, [pointer]), ("PQerrorMessage", text, [pointer]),
        ("PQexec", pointer, [pointer, text]), ("PQresultErrorMessage", text, [pointer]), ("PQntuples", ctypes.c_int, [pointer]),
        ("PQgetvalue", text, [pointer, ctypes.c_int, ctypes.c_int]), ("PQfinish", None, [pointer]), ("PQsetAuthDataHook", None, [pointer]),
    ]:
        function = getattr(pq, name)
        function.restype, function.argtypes = result, arguments
    report = {"asked": 0, "discovery": "", "scope": ""}

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, pointer, ctypes.POINTER(Request))
    def hook(kind, _conn, request):
        if kind != BEARER_TOKEN or not token:
            return 0
        report["asked"] += 1
        report["discovery"] = (request.contents.openid_configuration or b"").decode()
        report["scope"] = (request.contents.scope or b"").decode()
        request.contents.token = token.encode()
        return 1

    pq.PQsetAuthDataHook(hook)
    conn = pq.PQconnectdb(conninfo.encode())
    if pq.PQstatus(conn) != 0:
        report["error"] = pq.PQerrorMessage(conn).decode()
    else:
        result = pq.PQexec(conn, query.encode())
        report["error"] = pq.PQresultErrorMessage(result).decode()
        report["rows"] = [pq.PQgetvalue(result, i, 0).decode() for i in range(pq.PQntuples(result))]
    pq.PQfinish(conn)
    json.dump(report, sys.stdout)


main()
