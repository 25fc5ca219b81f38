package pgproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy/secret"
)

const hardSetup = `CREATE TABLE hard (id int, dropped int, secret text, plain text, number int8, tags text[],
	twice text GENERATED ALWAYS AS (secret || secret) STORED, at timestamptz, shadow text);
	ALTER TABLE hard DROP dropped;
	INSERT INTO hard (id, secret, plain, number, tags, at, shadow)
	SELECT i, s, s, length(s), ARRAY[s, NULL, s], '2001-02-03 04:05:06Z', CASE WHEN i % 3 = 0 THEN NULL ELSE s END
	FROM unnest(ARRAY['canary', E'can\tary', E'canary\nline', E'\\canary', E'canary\\', '\N', '\.', '', 'canary,with|delimiters', '"canary"', 'can""ary',
	E'\r\ncanary\r', E'\b\f\v\x01canary', 'canary äöü 日本', ' canary ', E'''canary''', repeat('canary ', 3000), NULL, '***', E'\\101canary']) WITH ORDINALITY AS x(s, i)`

// copyOptions are ways to write rows; each can be read with the same options.
var copyOptions = []string{
	"", "(FORMAT text)", "(DELIMITER '|')", "(DELIMITER ',', NULL '')", "(HEADER)", "(FORMAT 'text', HEADER true, DELIMITER 'X')",
	"CSV", "(FORMAT csv)", "(FORMAT csv, HEADER 1)", "(FORMAT csv, DELIMITER E'\\t')", "(FORMAT csv, QUOTE '''')", `(FORMAT csv, ESCAPE E'\\')`,
	"(FORMAT csv, NULL '\\N')", "(FORMAT csv, NULL 'canary')", "(FORMAT csv, QUOTE '*', ESCAPE '%', DELIMITER 'a')", "(FORMAT csv, ENCODING 'utf-8')",
	"CSV HEADER", "DELIMITER ';' CSV HEADER QUOTE '|'", "BINARY", "(FORMAT binary)",
}

// What COPY sends under masks can be read by COPY again, and is then what SELECT
// shows under the same masks.
func TestCopyOutMasked(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: hardSetup, policy: masking("public.hard.secret:redact", "public.hard.number:fake", "public.hard.tags:redact", "public.hard.shadow:null"),
			proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-copy-tests-0123456789")}})
		r.pg.Exec("CREATE TABLE loaded (id int, secret text, plain text, number int8, tags text[], at timestamptz, shadow text)")
		conn, wire := r.connectWatched(t)
		const columns = "id, secret, plain, number, tags, at, shadow"
		// The server writes arrays without the quotes that they don't need.
		want := strings.ReplaceAll(show(t, conn, "SELECT "+columns+" FROM hard ORDER BY id"), `\"[redacted]\"`, "[redacted]")
		for _, options := range copyOptions {
			for i, source := range []string{"hard", "public.hard (" + columns + ")", "(SELECT " + columns + " FROM hard /* ) */)"} {
				wire.forget()
				var data bytes.Buffer
				sql := "COPY " + source + " TO STDOUT " + options
				if _, err := conn.PgConn().CopyTo(t.Context(), &data, sql); err != nil {
					t.Errorf("%s: %v", sql, err)
					continue
				}
				r.pg.Exec("TRUNCATE loaded")
				load(t, r, "COPY loaded FROM STDIN "+options, data.Bytes())
				want := want
				if strings.Contains(options, "NULL ''") { // the empty text is written like NULL
					want = strings.ReplaceAll(strings.ReplaceAll(want, `|""|`, "|NULL|"), `"8"|"[redacted]"|`, `"8"|NULL|`)
				}
				if got := show(t, direct(t, r), "SELECT "+columns+" FROM loaded ORDER BY id"); got != want {
					t.Errorf("%d: %s: %s", i, sql, difference(got, want))
				}
			}
		}
		// The column without a mask has them all.
		if n := strings.Count(want, "canary"); n < 15 {
			t.Errorf("%d canaries in the open column", n)
		}
	})
}

// difference shows the first lines that differ.
func difference(got, want string) string {
	gots, wants := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(gots), len(wants)) {
		if gots[i] != wants[i] {
			return fmt.Sprintf("got %.300s\nwant %.300s", gots[i], wants[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(gots), len(wants))
}

func show(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, row := range results[0].Rows {
		for _, v := range row {
			if v == nil {
				b.WriteString("NULL|")
				continue
			}
			fmt.Fprintf(&b, "%q|", v)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func direct(t testing.TB, r *rig) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), r.pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func load(t testing.TB, r *rig, sql string, data []byte) {
	t.Helper()
	conn := direct(t, r)
	if _, err := conn.PgConn().CopyFrom(context.Background(), bytes.NewReader(data), sql); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	_ = conn.Close(context.Background())
}

// Without a mask in reach every byte is the server's.
func TestCopyOutPasses(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: hardSetup + "; CREATE TABLE kept (a int, b text); INSERT INTO kept VALUES (1, 'canary')", policy: masking("public.kept.b:redact")})
		conn := r.connect(t)
		plain := direct(t, r)
		for _, options := range append([]string{"(FORMAT csv, FORCE_QUOTE *)", "(NULL 'canary')", "(DELIMITER 'N', NULL 'x')"}, copyOptions...) {
			for _, source := range []string{"hard", "(TABLE hard)", "(SELECT 1 AS \"a,b\", secret FROM hard)", "(SELECT WHERE false)"} {
				var got, want bytes.Buffer
				sql := "COPY " + source + " TO STDOUT " + options
				gotTag, gotErr := conn.PgConn().CopyTo(t.Context(), &got, sql)
				wantTag, wantErr := plain.PgConn().CopyTo(t.Context(), &want, sql)
				if got.String() != want.String() || gotTag != wantTag || sqlState(gotErr) != sqlState(wantErr) {
					t.Errorf("%s: got %q %v %v, want %q %v %v", sql, got.String(), gotTag, gotErr, want.String(), wantTag, wantErr)
				}
			}
		}
	})
}

// So it is where values are searched and nothing is found in them.
func TestCopyOutSearchedPasses(t *testing.T) {
	for _, version := range [][]testserver.Option{nil, {testserver.Version18()}} {
		r := newRig(t, rigConfig{pg: version, setup: hardSetup, policy: detecting("*.*", "redact", "all")})
		conn, plain := r.connect(t), direct(t, r)
		for _, options := range append([]string{"(FORMAT csv, FORCE_QUOTE *)", "(FORMAT csv, FORCE_QUOTE (plain), HEADER)"}, copyOptions...) {
			for _, source := range []string{"hard", "(SELECT plain, secret FROM hard)", "(SELECT plain FROM hard)"} {
				var got, want bytes.Buffer
				sql := "COPY " + source + " TO STDOUT " + options
				_, gotErr := conn.PgConn().CopyTo(t.Context(), &got, sql)
				_, wantErr := plain.PgConn().CopyTo(t.Context(), &want, sql)
				if sqlState(gotErr) != sqlState(wantErr) || got.String() != want.String() {
					t.Errorf("%s: %v, %v: %s", sql, gotErr, wantErr, difference(got.String(), want.String()))
				}
			}
		}
	}
}

// In the extended protocol COPY is masked as well, and errors are the server's.
func TestCopyOutExtended(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: "CREATE TABLE people (id int, email text); INSERT INTO people VALUES (1, 'canary'), (2, NULL); CREATE TABLE gone (id int)", policy: masking("public.people.email:redact")})
		c := r.session(t)
		sync := &pgproto3.Sync{}
		c.send(append(extended("COPY people TO STDOUT"), sync)...)
		c.expect("ParseComplete", "BindComplete", "CopyOutResponse", `CopyData "1\t[redacted]\n"`, `CopyData "2\t\\N\n"`, "CopyDone", "COPY 2", "ZI")
		c.send(append(append(extended("COPY (SELECT email FROM people) TO STDOUT CSV"), extended("COPY people TO STDOUT")...), sync)...)
		c.expect("ParseComplete", "BindComplete", "CopyOutResponse", `CopyData "[redacted]\n"`, `CopyData "\n"`, "CopyDone", "COPY 2",
			"ParseComplete", "BindComplete", "CopyOutResponse", `CopyData "1\t[redacted]\n"`, `CopyData "2\t\\N\n"`, "CopyDone", "COPY 2", "ZI")
		c.send(append(append(extended("COPY people (nothing) TO STDOUT"), extended("SELECT 1")...), sync)...)
		c.expect("ParseComplete", "BindComplete", "ERROR 42703", "ZI")
		c.query("BEGIN", "BEGIN", "ZT")
		c.query("COPY people (nothing) TO STDOUT", "ERROR 42703", "ZE")
		c.query("ROLLBACK", "ROLLBACK", "ZI")
		c.query("COPY people (nothing) TO STDOUT", "ERROR 42703", "ZI")
		people := []string{"CopyOutResponse", `CopyData "1\t[redacted]\n"`, `CopyData "2\t\\N\n"`, "CopyDone", "COPY 2"}
		c.query("COPY people TO STDOUT; COPY people TO STDOUT", append(slices.Concat(people, people), "ZI")...)
		c.query("/* ; */ SELECT email FROM people LIMIT 1; ; COPY (SELECT 1, email FROM people WHERE id = 1) TO STDOUT; BEGIN; COPY people TO STDOUT (FORMAT csv); COMMIT -- ;",
			"RowDescription", "row [redacted]", "SELECT 1", "CopyOutResponse", `CopyData "1\t[redacted]\n"`, "CopyDone", "COPY 1", "BEGIN",
			"CopyOutResponse", `CopyData "1,[redacted]\n"`, `CopyData "2,\n"`, "CopyDone", "COPY 2", "COMMIT", "ZI")
		c.query("COPY people TO STDOUT; COPY people (nothing) TO STDOUT; SELECT 1", append(people, "ERROR 42703", "ZI")...)
		c.query("COPY people (nothing) TO STDOUT; SELECT email FROM people", "ERROR 42703", "ZI")
		for _, before := range []string{"ALTER TABLE people ADD x int", "ROLLBACK", "CREATE TABLE made (id int)", "DO ''", "DISCARD ALL"} {
			c.query(before+"; COPY people TO STDOUT", "ERROR 42501", "ZI")
		}
		c.query("COPY gone TO STDOUT; COPY (SELECT 1) TO STDOUT; SELECT 5", "CopyOutResponse", "CopyDone", "COPY 0", "CopyOutResponse", `CopyData "1\n"`, "CopyDone", "COPY 1",
			"RowDescription", "row 5", "SELECT 1", "ZI")
		c.query("BEGIN", "BEGIN", "ZT")
		c.query("COPY people TO STDOUT", "CopyOutResponse", `CopyData "1\t[redacted]\n"`, `CopyData "2\t\\N\n"`, "CopyDone", "COPY 2", "ZT")
	})
}

// COPY leaves generated columns out, of tables that the catalogue does not know, too.
func TestCopyOutOfGeneratedColumns(t *testing.T) {
	const columns = " (a text, g text GENERATED ALWAYS AS (a || 'x') STORED, b text)"
	for name, version := range servers() {
		t.Run(name, func(t *testing.T) {
			setup := "CREATE TABLE kept" + columns + "; INSERT INTO kept VALUES ('canary', DEFAULT, 'b')"
			want := []string{"CopyOutResponse", `CopyData "[redacted]\tb\n"`, "CopyDone", "COPY 1"}
			if name == "18" {
				setup = strings.ReplaceAll(setup, "STORED", "VIRTUAL")
			}
			r := newRig(t, rigConfig{pg: version, setup: setup, policy: masking("public.kept.a:redact", "public.made.a:redact")})
			c, sync := r.session(t), &pgproto3.Sync{}
			c.query("COPY kept TO STDOUT", append(want, "ZI")...)
			c.send(append(append(extended("COPY kept TO STDOUT"), extended("COPY kept TO STDOUT")...), sync)...)
			c.expect(append(append(append([]string{"ParseComplete", "BindComplete"}, want...), append([]string{"ParseComplete", "BindComplete"}, want...)...), "ZI")...)
			c.query("CREATE TEMP TABLE \"it's\""+columns+"; INSERT INTO \"it's\" VALUES ('a', DEFAULT, 'b')", "CREATE TABLE", "INSERT 0 1", "ZI")
			open := []string{"CopyOutResponse", `CopyData "a\tb\n"`, "CopyDone", "COPY 1"}
			c.query("COPY \"it's\" TO STDOUT", append(open, "ZI")...)
			c.query("COPY pg_temp.\"it's\" TO STDOUT", append(open, "ZI")...)
			c.query("COPY kept TO STDOUT; COPY kept (b) TO STDOUT; COPY kept TO STDOUT", append(append(append(want, "CopyOutResponse", `CopyData "b\n"`, "CopyDone", "COPY 1"), want...), "ZI")...)
			c.query("BEGIN; CREATE TABLE made"+columns+"; INSERT INTO made VALUES ('canary', DEFAULT, 'b')", "BEGIN", "CREATE TABLE", "INSERT 0 1", "ZT")
			c.query("COPY made (a) TO STDOUT", "CopyOutResponse", `CopyData "[redacted]\n"`, "CopyDone", "COPY 1", "ZT")
			hidden := []string{"CopyOutResponse", `CopyData "[redacted]\t[redacted]\n"`, "CopyDone", "COPY 1"}
			c.query("COPY made TO STDOUT", append(hidden, "ZT")...)
			c.send(append(extended("COPY made TO STDOUT"), sync)...)
			c.expect(append(append([]string{"ParseComplete", "BindComplete"}, hidden...), "ZT")...)
		})
	}
}

// Files and programs of the server are the policy's to allow.
func TestCopyServerSide(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigConfig{setup: "CREATE TABLE items (id int); INSERT INTO items VALUES (7)"})
	conn := r.connect(t)
	for _, sql := range []string{"COPY items TO '" + path + "'", "COPY items FROM '" + path + "'", "COPY items FROM PROGRAM 'echo 9'"} {
		_, gotErr := conn.Exec(t.Context(), sql)
		_, wantErr := direct(t, r).Exec(t.Context(), sql)
		if sqlState(gotErr) != sqlState(wantErr) {
			t.Errorf("%s: %v, want %v", sql, gotErr, wantErr)
		}
	}
}
