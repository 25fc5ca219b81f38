//go:build unix

package testserver_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/internal/testserver"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

// query connects by url and returns the first value of a query's first row.
func query(t *testing.T, url, sql string) (string, error) {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), url)
	if err != nil {
		return "", err
	}
	defer c.Close(t.Context())
	results, err := c.Exec(t.Context(), sql).ReadAll()
	if err != nil {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}

func mustQuery(t *testing.T, url, sql string) string {
	t.Helper()
	value, err := query(t, url, sql)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("error %v, want SQLSTATE %s", err, code)
	}
}

func TestPostgresEnforcesPassword(t *testing.T) {
	pg := testserver.Postgres(t)
	if got := mustQuery(t, pg.URL(), "SELECT current_database()"); got != pg.Database {
		t.Errorf("connected to %q, want %q", got, pg.Database)
	}
	pg.Password = "wrong"
	_, err := query(t, pg.URL(), "SELECT 1")
	wantCode(t, err, "28P01")
}

func TestPostgresIsSharedDatabasesAreNot(t *testing.T) {
	one, two := testserver.Postgres(t), testserver.Postgres(t)
	if one.Port != two.Port {
		t.Errorf("two servers of the same kind, ports %d and %d", one.Port, two.Port)
	}
	if one.Database == two.Database {
		t.Errorf("two tests share database %s", one.Database)
	}
	one.Exec("CREATE TABLE mine (n int)")
	if rows := two.Query("SELECT to_regclass('mine')"); rows[0][0] != "" {
		t.Error("a table of one database is in the other")
	}
}

func TestPostgresDropsDatabase(t *testing.T) {
	var name string
	t.Run("user", func(t *testing.T) { name = testserver.Postgres(t).Database })
	rows := testserver.Postgres(t).Query(fmt.Sprintf("SELECT 1 FROM pg_database WHERE datname = '%s'", name))
	if name == "" || len(rows) != 0 {
		t.Errorf("database %q is there after its test", name)
	}
}

func TestVersion18(t *testing.T) {
	pg := testserver.Postgres(t, testserver.Version18())
	if pg.Major < 18 {
		t.Errorf("major version %d", pg.Major)
	}
	if got := mustQuery(t, pg.URL()+"&min_protocol_version=3.2&max_protocol_version=3.2", "SHOW server_version"); !strings.HasPrefix(got, fmt.Sprint(pg.Major)) {
		t.Errorf("server_version %q, Major %d", got, pg.Major)
	}
}

func TestConfig(t *testing.T) {
	pg := testserver.Postgres(t, testserver.Config("work_mem=7MB"), testserver.Config("log_statement=all"))
	if got := mustQuery(t, pg.URL(), "SHOW work_mem /* look for this */"); got != "7MB" {
		t.Errorf("work_mem = %q", got)
	}
	if !strings.Contains(pg.Log(), "look for this") {
		t.Error("the statement is not in the log")
	}
}

func TestTLS(t *testing.T) {
	pg := testserver.Postgres(t, testserver.TLS())
	const secure = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
	if got := mustQuery(t, pg.URL(), secure); got != "true" {
		t.Errorf("ssl = %q", got)
	}
	plain := strings.Replace(pg.URL(), "sslmode=verify-full", "sslmode=disable", 1)
	_, err := query(t, plain, secure)
	wantCode(t, err, "28000")
	stranger := testserver.NewCA(t)
	cfg, err := pgconn.ParseConfig(pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLSConfig.RootCAs = stranger.Pool()
	if _, err := pgconn.ConnectConfig(t.Context(), cfg); err == nil {
		t.Error("another CA vouches for the server")
	}
}

func TestCertAuth(t *testing.T) {
	pg := testserver.Postgres(t, testserver.CertAuth())
	cfg, err := pgconn.ParseConfig(pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	_, err = pgconn.ConnectConfig(t.Context(), cfg)
	wantCode(t, err, "28000")
	cfg.TLSConfig.Certificates = []tls.Certificate{pg.CA.Client(t, pg.User).TLS(t)}
	c, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOwnServerGoesWithItsTest(t *testing.T) {
	var pid, other int
	t.Run("user", func(t *testing.T) {
		pg := testserver.Postgres(t, testserver.Own())
		other = testserver.Postgres(t).PID()
		pg.Exec("CREATE TABLE kept (n int)")
		pg.Stop()
		if _, err := query(t, pg.URL(), "SELECT 1"); err == nil {
			t.Error("a stopped server answers")
		}
		pg.Restart()
		if got := mustQuery(t, pg.URL(), "SELECT count(*) FROM kept"); got != "0" {
			t.Errorf("count = %q", got)
		}
		pid = pg.PID()
	})
	if pid == other {
		t.Error("the test's own server is the shared one")
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("server %d is there after its test: %v", pid, err)
	}
}

// A judge is a testing.TB that notes how a test ended.
type judge struct {
	testing.TB
	verdict string
}

func (j *judge) Helper()                   {}
func (j *judge) Fatal(args ...any)         { j.end("failed", fmt.Sprint(args...)) }
func (j *judge) Fatalf(f string, a ...any) { j.end("failed", fmt.Sprintf(f, a...)) }
func (j *judge) Skipf(f string, a ...any)  { j.end("skipped", fmt.Sprintf(f, a...)) }
func (j *judge) end(how, why string)       { j.verdict = how + ": " + why; runtime.Goexit() }

// verdict runs f as a test and returns how it ended.
func verdict(t *testing.T, f func(testing.TB)) string {
	j := &judge{TB: t, verdict: "passed"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(j)
	}()
	<-done
	return j.verdict
}

func TestSharedServerCantBeStopped(t *testing.T) {
	pg := testserver.Postgres(t)
	for name, f := range map[string]func(testing.TB){
		"Stop":    func(tb testing.TB) { testserver.Postgres(tb).Stop() },
		"Restart": func(tb testing.TB) { testserver.Postgres(tb).Restart() },
	} {
		if got := verdict(t, f); !strings.HasPrefix(got, "failed: ") {
			t.Errorf("%s of a shared server: %s", name, got)
		}
	}
	mustQuery(t, pg.URL(), "SELECT 1")
}

func TestMissingProgramSkipsOrFails(t *testing.T) {
	for value, want := range map[string]string{"": "skipped: ", "1": "failed: "} {
		t.Setenv("HEADGATE_REQUIRE_SERVERS", value)
		got := verdict(t, func(tb testing.TB) { testserver.Command(tb, "no-such-program") })
		if !strings.HasPrefix(got, want) || !strings.Contains(got, "no-such-program") {
			t.Errorf("required %q: %s", value, got)
		}
	}
	t.Setenv("HEADGATE_REQUIRE_SERVERS", "1")
	t.Setenv("HEADGATE_POSTGRES_BIN", t.TempDir())
	if got := verdict(t, func(tb testing.TB) { testserver.Postgres(tb) }); !strings.HasPrefix(got, "failed: ") {
		t.Errorf("no server in HEADGATE_POSTGRES_BIN: %s", got)
	}
}

func TestPostgresStandby(t *testing.T) {
	primary := testserver.Postgres(t, testserver.Own())
	primary.Exec("CREATE TABLE mine (n int); INSERT INTO mine VALUES (1)")
	standby := primary.Standby()
	primary.Exec("INSERT INTO mine VALUES (2)")
	standby.CatchUp(primary)
	if got := mustQuery(t, standby.URL(), "SELECT sum(n) FROM mine"); got != "3" {
		t.Errorf("the standby has %s, want 3", got)
	}
	_, err := query(t, standby.URL(), "INSERT INTO mine VALUES (3) RETURNING n")
	wantCode(t, err, "25006")
	primary.Stop()
	standby.Promote()
	if got := mustQuery(t, standby.URL(), "INSERT INTO mine VALUES (3) RETURNING n"); got != "3" {
		t.Errorf("the promoted standby says %q, want 3", got)
	}
}
