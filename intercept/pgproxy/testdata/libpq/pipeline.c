/*
 * Uses libpq's pipeline mode in the ways that clients may, and prints what libpq
 * gives back, with the messages of both directions. The output is the same for
 * servers that behave the same.
 *
 * Usage: pipeline TEST, with libpq's environment variables saying where.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>

#include <libpq-fe.h>

static PGconn *conn;

static void die(const char *what)
{
	printf("%s: %s", what, conn != NULL ? PQerrorMessage(conn) : "\n");
	exit(1);
}

static void need(int ok, const char *what)
{
	if (!ok)
		die(what);
}

static void connect_server(void)
{
	conn = PQconnectdb("");
	if (PQstatus(conn) != CONNECTION_OK)
		die("connect");
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	PQtrace(conn, stdout);
	PQsetTraceFlags(conn, PQTRACE_SUPPRESS_TIMESTAMPS | PQTRACE_REGRESS_MODE);
}

static void command(const char *sql)
{
	PGresult *r = PQexec(conn, sql);
	printf("%s: %s\n", sql, PQresStatus(PQresultStatus(r)));
	PQclear(r);
}

static void show(PGresult *r)
{
	printf("= %s", PQresStatus(PQresultStatus(r)));
	if (PQresultStatus(r) == PGRES_FATAL_ERROR)
		printf(" %s", PQresultErrorMessage(r));
	for (int i = 0; i < PQntuples(r); i++)
		for (int j = 0; j < PQnfields(r); j++)
			printf(" [%s]", PQgetisnull(r, i, j) ? "NULL" : PQgetvalue(r, i, j));
	printf(" %s\n", PQcmdStatus(r));
}

/* next shows one result, which may be the NULL behind a statement's results */
static ExecStatusType next_result(void)
{
	PGresult *r = PQgetResult(conn);
	ExecStatusType status;
	if (r == NULL) {
		printf("= end\n");
		return PGRES_EMPTY_QUERY;
	}
	show(r);
	status = PQresultStatus(r);
	PQclear(r);
	return status;
}

static void up_to_syncs(int n)
{
	while (n > 0)
		if (next_result() == PGRES_PIPELINE_SYNC)
			n--;
}

static void enter(void) { need(PQenterPipelineMode(conn), "enter"); }

static void leave(void)
{
	need(PQexitPipelineMode(conn), "leave");
	command("SELECT 'still here'");
}

static void ask(const char *sql, const char *param)
{
	need(PQsendQueryParams(conn, sql, param != NULL, NULL, &param, NULL, NULL, 0), "send");
}

static void sync_pipeline(void) { need(PQpipelineSync(conn), "sync"); }

static void disallowed_in_pipeline(void)
{
	enter();
	command("SELECT 1");
	printf("simple query: %d\n", PQsendQuery(conn, "SELECT 1"));
	printf("enter again: %d\n", PQenterPipelineMode(conn));
	ask("SELECT 1", NULL);
	printf("leave early: %d\n", PQexitPipelineMode(conn));
	sync_pipeline();
	up_to_syncs(1);
	leave();
}

static void simple_pipeline(void)
{
	enter();
	ask("SELECT $1::text", "one");
	sync_pipeline();
	up_to_syncs(1);
	leave();
}

static void multi_pipelines(void)
{
	enter();
	ask("SELECT $1::int", "1");
	sync_pipeline();
	ask("SELECT $1::int", "2");
	ask("SELECT nothing", NULL);
	ask("SELECT $1::int", "3");
	sync_pipeline();
	ask("SELECT $1::int", "4");
	sync_pipeline();
	up_to_syncs(3);
	leave();
}

static void nosync(void)
{
	enter();
	for (int i = 0; i < 10; i++)
		ask("SELECT repeat('x', 100), $1", "no sync yet");
	need(PQsendFlushRequest(conn), "flush request");
	for (int i = 0; i < 20; i++)
		next_result();
	sync_pipeline();
	up_to_syncs(1);
	leave();
}

static void pipeline_abort(void)
{
	command("CREATE TABLE aborts (n int PRIMARY KEY)");
	enter();
	ask("INSERT INTO aborts VALUES ($1)", "1");
	ask("SELECT no_such_function($1)", "1");
	ask("INSERT INTO aborts VALUES ($1)", "2");
	sync_pipeline();
	ask("INSERT INTO aborts VALUES ($1)", "3");
	ask("SELECT 1/(n - 3) FROM aborts", NULL);
	sync_pipeline();
	ask("INSERT INTO aborts VALUES ($1)", "4");
	ask("SELECT 1; SELECT 2", NULL);
	sync_pipeline();
	ask("SELEC", NULL);
	sync_pipeline();
	ask("INSERT INTO aborts VALUES ($1)", "5");
	sync_pipeline();
	up_to_syncs(5);
	leave();
	command("SELECT count(*), sum(n) FROM aborts");
	command("DROP TABLE aborts");
}

static void pipeline_idle(void)
{
	enter();
	ask("SELECT 1", NULL);
	need(PQsendFlushRequest(conn), "flush request");
	next_result();
	next_result();
	leave();
	enter();
	ask("SELECT 1", NULL);
	need(PQsendFlushRequest(conn), "flush request");
	next_result();
	printf("leave early: %d\n", PQexitPipelineMode(conn));
	next_result();
	leave();
}

static void prepared(void)
{
	enter();
	need(PQsendPrepare(conn, "ready", "SELECT $1::int + 1 AS sum, 'x'::text", 0, NULL), "prepare");
	need(PQsendDescribePrepared(conn, "ready"), "describe");
	for (int i = 0; i < 7; i++) {
		const char *n = "41";
		need(PQsendQueryPrepared(conn, "ready", 1, &n, NULL, NULL, 0), "run");
	}
	need(PQsendPrepare(conn, "ready", "SELECT 1", 0, NULL), "prepare again");
	sync_pipeline();
	up_to_syncs(1);
	leave();
	command("BEGIN");
	command("DECLARE rows CURSOR FOR SELECT 1 AS one");
	enter();
	need(PQsendDescribePortal(conn, "rows"), "describe");
	sync_pipeline();
	up_to_syncs(1);
	leave();
	command("COMMIT");
	command("DEALLOCATE ready");
}

static void singlerow(void)
{
	enter();
	for (int i = 0; i < 3; i++)
		ask("SELECT generate_series(1, $1::int)", "4");
	sync_pipeline();
	for (int i = 0; i < 3; i++) {
		if (i != 1)
			need(PQsetSingleRowMode(conn), "single row");
		while (next_result() != PGRES_EMPTY_QUERY)
			;
	}
	up_to_syncs(1);
	leave();
}

static void transaction(void)
{
	command("CREATE TABLE parts (n int)");
	enter();
	ask("BEGIN", NULL);
	ask("INSERT INTO parts VALUES ($1)", "1");
	sync_pipeline();
	ask("SELECT nothing", NULL);
	sync_pipeline();
	ask("INSERT INTO parts VALUES ($1)", "2");
	sync_pipeline();
	ask("ROLLBACK", NULL);
	ask("INSERT INTO parts VALUES ($1)", "3");
	ask("BEGIN", NULL);
	ask("INSERT INTO parts VALUES ($1)", "4");
	ask("COMMIT", NULL);
	sync_pipeline();
	up_to_syncs(4);
	leave();
	command("TABLE parts");
	command("DROP TABLE parts");
}

/* more is sent than sockets hold while answers are read as they come */
static void uniqviol(void)
{
	int sent = 0, answered = 0;
	command("CREATE TABLE once (id bigint PRIMARY KEY, filler text)");
	PQuntrace(conn); /* how messages and answers interleave is a matter of time */
	enter();
	need(PQsetnonblocking(conn, 1) == 0, "nonblocking");
	while (answered < 4000) {
		struct pollfd p = {PQsocket(conn), POLLIN, 0};
		while (sent < 4000 && PQflush(conn) == 0) {
			char id[20];
			snprintf(id, sizeof id, "%d", sent == 3500 ? 10 : sent);
			ask("INSERT INTO once VALUES ($1, repeat('x', 200)) RETURNING id, filler", id);
			if (++sent % 1000 == 0)
				sync_pipeline();
		}
		if (PQflush(conn) == 1)
			p.events |= POLLOUT;
		if (poll(&p, 1, 20000) <= 0)
			die("nothing comes");
		need(PQconsumeInput(conn), "consume");
		while (!PQisBusy(conn) && answered < 4000) {
			PGresult *r = PQgetResult(conn);
			ExecStatusType status = PQresultStatus(r);
			if (r == NULL)
				continue;
			if (status == PGRES_TUPLES_OK || status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED)
				answered++;
			if (status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_ABORTED)
				show(r);
			PQclear(r);
		}
	}
	need(PQsetnonblocking(conn, 0) == 0, "blocking");
	up_to_syncs(1);
	leave();
	command("SELECT count(*) FROM once");
	command("DROP TABLE once");
}

static void cancel(void)
{
	char why[256];
	PGcancel *c = PQgetCancel(conn);
	struct pollfd p = {PQsocket(conn), POLLIN, 0};
	need(PQsendQuery(conn, "SELECT repeat('x', 20000) UNION ALL SELECT pg_sleep(60)::text"), "send");
	/* the first row is longer than what the server keeps back: it comes when the sleep begins */
	need(poll(&p, 1, 20000) > 0, "wait");
	need(PQcancel(c, why, sizeof why), "cancel");
	while (next_result() != PGRES_EMPTY_QUERY)
		;
	PQfreeCancel(c);
	command("SELECT 'still here'");
}

static void protocol_version(void)
{
	printf("protocol %d, server %d\n", PQprotocolVersion(conn), PQserverVersion(conn));
	const char *names[] = {"server_version", "server_encoding", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone",
		"integer_datetimes", "standard_conforming_strings", "is_superuser", "in_hot_standby", "default_transaction_read_only"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = PQparameterStatus(conn, names[i]);
		printf("%s: %s\n", names[i], value != NULL ? value : "unknown");
	}
}

static const struct { const char *name; void (*run)(void); } tests[] = {
	{"disallowed_in_pipeline", disallowed_in_pipeline}, {"simple_pipeline", simple_pipeline},
	{"multi_pipelines", multi_pipelines}, {"nosync", nosync}, {"pipeline_abort", pipeline_abort},
	{"pipeline_idle", pipeline_idle}, {"prepared", prepared}, {"singlerow", singlerow}, {"transaction", transaction},
	{"uniqviol", uniqviol}, {"cancel", cancel}, {"protocol_version", protocol_version},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof tests / sizeof *tests; i++) {
		if (strcmp(argv[1], tests[i].name) != 0)
			continue;
		connect_server();
		tests[i].run();
		PQfinish(conn);
		return 0;
	}
	fprintf(stderr, "usage: pipeline TEST\n");
	return 2;
}
