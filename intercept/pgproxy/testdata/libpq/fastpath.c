/*
 * Uses libpq's fast path, PQfn and the large objects that are built on it, and
 * prints what libpq gives back, with the messages of both directions. The output is
 * the same for servers that behave the same.
 *
 * Usage: fastpath TEST FILE, with libpq's environment variables saying where.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>
#include <libpq/libpq-fs.h>

static PGconn *conn;

static void command(const char *sql)
{
	PGresult *r = PQexec(conn, sql);
	printf("%s: %s %s\n", sql, PQresStatus(PQresultStatus(r)), PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : PQcmdStatus(r));
	PQclear(r);
}

static void failed(const char *what, long got)
{
	printf("%s: %ld %s\n", what, got, got < 0 ? PQerrorMessage(conn) : "");
}

/* call calls a function of integers, or of one text if n is -1 */
static void call(Oid function, int n, int a, int b, const char *text)
{
	PQArgBlock args[2] = {{4, 1, {.integer = a}}, {4, 1, {.integer = b}}};
	int result[64] = {0}, length = 0;
	PGresult *r;
	if (n < 0) {
		args[0].len = (int) strlen(text);
		args[0].isint = 0;
		args[0].u.ptr = (int *) text;
		n = 1;
	}
	r = PQfn(conn, function, result, &length, text == NULL, args, n);
	printf("function %u: %s, %d bytes", function, PQresStatus(PQresultStatus(r)), length);
	if (text == NULL && length == 4)
		printf(", %d", result[0]);
	else if (length > 0 && length < (int) sizeof result)
		printf(", %.*s", length, (char *) result);
	printf(" %s\n", PQresultErrorMessage(r));
	PQclear(r);
}

static void functions(void)
{
	call(177, 2, 40, 2, NULL); /* int4pl */
	call(154, 2, 1, 0, NULL); /* int4div, by zero */
	call(177, 1, 1, 0, NULL); /* too few arguments */
	call(3062, -1, 0, 0, "word"); /* reverse */
	call(1598, 1, 1, 0, NULL); /* too many arguments */
	call(1067, 2, 1, 2, NULL); /* a set */
	call(7, 0, 0, 0, NULL); /* no function */
	command("SELECT 'still here'");
	command("BEGIN");
	call(154, 2, 1, 0, NULL);
	call(177, 2, 40, 2, NULL);
	command("COMMIT");
	call(177, 2, 40, 2, NULL);
}

static void objects(const char *file)
{
	char buffer[20000];
	int fd, i;
	failed("create", (long) lo_create(conn, 4711));
	failed("create again", (long) lo_create(conn, 4711) == 0 ? -1 : 0);
	command("BEGIN");
	failed("open", fd = lo_open(conn, 4711, INV_READ | INV_WRITE));
	for (i = 0; i < (int) sizeof buffer; i++)
		buffer[i] = (char) (i % 251);
	failed("write", lo_write(conn, fd, buffer, sizeof buffer));
	failed("seek", lo_lseek(conn, fd, 5, SEEK_SET));
	failed("tell", lo_tell(conn, fd));
	memset(buffer, 0, sizeof buffer);
	failed("read", lo_read(conn, fd, buffer, sizeof buffer));
	failed("first byte", buffer[0]);
	failed("seek far", (long) lo_lseek64(conn, fd, 5000000000, SEEK_SET));
	failed("tell far", (long) lo_tell64(conn, fd));
	failed("truncate", lo_truncate(conn, fd, 10));
	failed("truncate far", lo_truncate64(conn, fd, 100));
	failed("seek to the end", lo_lseek(conn, fd, 0, SEEK_END));
	failed("close", lo_close(conn, fd));
	failed("close again", lo_close(conn, fd));
	failed("read when failed", lo_read(conn, fd, buffer, 1));
	command("ROLLBACK");
	command("BEGIN");
	failed("open", fd = lo_open(conn, 4711, INV_WRITE));
	failed("write", lo_write(conn, fd, "content", 7));
	failed("close", lo_close(conn, fd));
	command("COMMIT");
	command("BEGIN");
	failed("export", lo_export(conn, 4711, file));
	failed("import", (long) lo_import_with_oid(conn, file, 4712));
	command("COMMIT");
	command("SELECT encode(lo_get(4712), 'escape')");
	failed("unlink", lo_unlink(conn, 4711));
	failed("unlink again", lo_unlink(conn, 4711));
	failed("unlink", lo_unlink(conn, 4712));
	command("SELECT count(*) FROM pg_largeobject_metadata");
}

int main(int argc, char **argv)
{
	conn = PQconnectdb("");
	if (argc != 3 || PQstatus(conn) != CONNECTION_OK) {
		printf("connect: %s", PQerrorMessage(conn));
		return 1;
	}
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	PQtrace(conn, stdout);
	PQsetTraceFlags(conn, PQTRACE_SUPPRESS_TIMESTAMPS | PQTRACE_REGRESS_MODE);
	if (strcmp(argv[1], "functions") == 0)
		functions();
	else
		objects(argv[2]);
	PQfinish(conn);
	return 0;
}
