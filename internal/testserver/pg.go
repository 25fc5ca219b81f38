//go:build unix

package testserver

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// URL returns a connection URL for the test's database by TCP, with the password
// in it.
func (pg *PG) URL() string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(pg.User, pg.Password),
		Host: net.JoinHostPort(pg.Host, strconv.Itoa(pg.Port)), Path: "/" + pg.Database,
	}
	query := url.Values{"sslmode": {"disable"}}
	if pg.CA != nil {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {pg.CAFile}}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Env returns the environment of a libpq program that is to connect like URL:
// this process's own without its settings for PostgreSQL.
func (pg *PG) Env() []string {
	mode := "disable"
	if pg.CA != nil {
		mode = "verify-full"
	}
	return append(environWithoutPostgres(),
		"PGHOST="+pg.Host, "PGPORT="+strconv.Itoa(pg.Port), "PGUSER="+pg.User, "PGPASSWORD="+pg.Password,
		"PGDATABASE="+pg.Database, "PGSSLMODE="+mode, "PGSSLROOTCERT="+pg.CAFile)
}

// Exec runs SQL on the test's database by the Unix socket, whatever the TCP
// address asks for. An error ends the test.
func (pg *PG) Exec(sql string) {
	pg.t.Helper()
	pg.Query(sql)
}

// Query is Exec that returns the rows of the last result, as text; NULL is "".
func (pg *PG) Query(sql string) [][]string {
	pg.t.Helper()
	rows, err := pg.query(sql)
	if err != nil {
		pg.t.Fatalf("testserver: %s: %v", sql, err)
	}
	return rows
}

func (pg *PG) query(sql string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgconn.Connect(ctx, pg.server.SocketURL(pg.Database))
	if err != nil {
		return nil, err
	}
	results, err := c.Exec(ctx, sql).ReadAll()
	if err = errors.Join(err, c.Close(ctx)); err != nil || len(results) == 0 {
		return nil, err
	}
	var rows [][]string
	for _, values := range results[len(results)-1].Rows {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = string(v)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Stop ends the server, which must be the test's Own.
func (pg *PG) Stop() {
	pg.t.Helper()
	pg.mustOwn()
	if err := pg.server.Stop(); err != nil {
		pg.t.Fatal(err)
	}
}

// Restart breaks every session of the server, which must be the test's Own, and
// starts it again on the same port.
func (pg *PG) Restart() {
	pg.t.Helper()
	pg.mustOwn()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := pg.server.Restart(ctx); err != nil {
		pg.t.Fatal(err)
	}
}

// Standby starts a hot standby of the server, which must be the test's Own. The
// standby is the test's Own, too, and has all databases of the server. See CatchUp and
// Promote.
func (pg *PG) Standby() *PG {
	pg.t.Helper()
	pg.mustOwn()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := pg.server.Standby(ctx)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		unavailable(pg.t, err)
	}
	if err != nil {
		pg.t.Fatal(err)
	}
	standby := *pg
	standby.Host, standby.Port, standby.SocketDir, standby.LogFile = pgserver.Host, server.Port, server.Dir, server.LogFile
	standby.server = server
	pg.t.Cleanup(standby.Stop)
	return &standby
}

// CatchUp waits until the server, a Standby of primary, has replayed all that primary
// has written so far.
func (pg *PG) CatchUp(primary *PG) {
	pg.t.Helper()
	written := primary.Query("SELECT pg_current_wal_insert_lsn()")[0][0]
	deadline := time.Now().Add(time.Minute)
	for pg.Query("SELECT pg_last_wal_replay_lsn() >= '" + written + "'")[0][0] != "t" {
		if time.Now().After(deadline) {
			pg.t.Fatalf("testserver: the standby does not get to %s", written)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Promote makes the server, a Standby, a primary. Its sessions go on.
func (pg *PG) Promote() {
	pg.t.Helper()
	if pg.Query("SELECT pg_promote()")[0][0] != "t" {
		pg.t.Fatal("testserver: the standby is not promoted")
	}
}

func (pg *PG) mustOwn() {
	pg.t.Helper()
	if !pg.own {
		pg.t.Fatal("testserver: other tests share this server: ask for one of its Own")
	}
}

// PID returns the process id of the server.
func (pg *PG) PID() int { return pg.server.PID() }

// Log returns what the server has logged so far.
func (pg *PG) Log() string {
	pg.t.Helper()
	text, err := os.ReadFile(pg.LogFile)
	if err != nil {
		pg.t.Fatal(err)
	}
	return string(text)
}
