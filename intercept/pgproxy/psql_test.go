package pgproxy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver"
)

// psqlObjects is a schema with an object of each kind that psql can list.
const psqlObjects = `
CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE DEFAULT 'nobody', born date CHECK (born > '1900-01-01'), twice int GENERATED ALWAYS AS (length(name) * 2) STORED);
COMMENT ON TABLE people IS 'who there is'; COMMENT ON COLUMN people.name IS 'what they are called';
CREATE TABLE parted (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
CREATE TABLE child (extra text) INHERITS (people);
CREATE UNLOGGED TABLE fast (person int REFERENCES people ON DELETE CASCADE DEFERRABLE);
CREATE VIEW names AS SELECT id, name FROM people WHERE born IS NOT NULL;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM people;
CREATE INDEX lower_names ON people (lower(name)) WHERE id > 10;
CREATE SEQUENCE numbers INCREMENT 7 START 14;
CREATE FUNCTION add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE PROCEDURE nothing() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO fast DO INSTEAD NOTHING;
CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text); CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE OPERATOR <+> (leftarg = int, rightarg = int, function = add);
CREATE CAST (mood AS int) WITH INOUT; CREATE COLLATION plain FROM "C"; CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON people FOR SELECT USING (name = current_user);
GRANT SELECT (name), UPDATE ON people TO PUBLIC;
CREATE STATISTICS stats (dependencies) ON name, born FROM people;
CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere');
CREATE USER MAPPING FOR PUBLIC SERVER far; CREATE FOREIGN TABLE abroad (a int OPTIONS (column_name 'b')) SERVER far;
CREATE PUBLICATION pub FOR TABLE people; CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch();
CREATE SCHEMA "Odd Name"; CREATE TABLE "Odd Name"."a ""quoted"" table" ("a b" int);
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
INSERT INTO people (name, born) VALUES ('ann', '1980-02-03'), ('bob', NULL);`

// psqlDescribes are psql's commands that list objects; each is run plainly, with +,
// and with S.
const psqlDescribes = `\d \da \dA \dAc \dAf \dAo \dAp \db \dc \dC \dd \ddp \dD \dE \des \det \deu \dew \df \dF \dFd \dFp \dFt \dg \di \dl \dL \dm \dn \do \dO \dp \dP \drds \dRp \dRs \ds \dt \dT \du \dv \dx \dX \dy \z`

func describeScript() string {
	var b strings.Builder
	for command := range strings.FieldsSeq(psqlDescribes) {
		b.WriteString("\\echo " + strings.TrimPrefix(command, "\\") + "\n" + command + "\n" + command + "+\n" + command + " *people*\n")
	}
	for _, name := range []string{"people", "parted", "parted_low", "child", "fast", "names", "counted", "lower_names", "numbers", "abroad", "pair", `"Odd Name".*`, "no_such_thing", "pg_class"} {
		b.WriteString("\\d+ " + name + "\n")
	}
	b.WriteString("\\l postgres\n\\dtS information_schema.*\n\\dS people\n\\df+ add\n\\sf add\n\\sv names\n\\dT+ mood\n\\do <+>\n\\ef no_such_function\n")
	return b.String()
}

// psqlUses is what else psql does by statements of its own.
const psqlUses = `\set ON_ERROR_STOP off
SELECT 1/0;
\errverbose
SELECT no_such_column FROM people;
\errverbose
SELEC 1;
\errverbose
SELECT id, name, born FROM people \gdesc
SELECT 'ü' WHEN \gdesc
SELECT name, id AS n FROM people \gset
\echo :name :n
SELECT format('SELECT %L AS x, %s AS y', name, id) FROM people ORDER BY id \gexec
\copy people (name, born) FROM STDIN
copied	2001-02-03
back\\slash	\N
\.
\copy people (name) FROM STDIN WITH (FORMAT csv, HEADER)
name
"with ""quotes"", and
a line"
\.
\copy people (name) FROM STDIN
ann
\.
\copy (SELECT name, born FROM people ORDER BY name) TO STDOUT
\copy people (id, name) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *)
\copy people (name) TO PROGRAM 'sort -r'
\copy no_such_table TO STDOUT
COPY people (name) FROM STDIN;
by COPY itself
\.
SET search_path = nowhere, public;
\d people
\copy people (name) TO STDOUT
RESET search_path;
SELECT set_config('search_path', '', false) \gset
\d
SELECT public.add(1, 2) AS sum \gset
RESET ALL;
\echo :sum
SELECT a, b, a * b AS c FROM generate_series(1, 3) a, generate_series(1, 2) b ORDER BY 1, 2 \crosstabview a b c
\set FETCH_COUNT 3
SELECT n, repeat('x', n) FROM generate_series(1, 10) n;
SELECT n FROM generate_series(1, 4) n; SELECT 'second';
SELECT 1/(n - 5) FROM generate_series(1, 10) n;
\set FETCH_COUNT 0
\if true
SELECT 'in if';
\else
SELECT 'in else';
\endif
BEGIN \; INSERT INTO people (name) VALUES ('in transaction') \; SELECT count(*) FROM people;
\echo :ROW_COUNT :SQLSTATE
ROLLBACK;
\set AUTOCOMMIT off
INSERT INTO people (name) VALUES ('no autocommit');
ROLLBACK;
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT nothing;
INSERT INTO people (name) VALUES ('kept');
COMMIT;
SELECT name FROM people ORDER BY name;
\encoding
\conninfo_is_not_compared
\x
SELECT * FROM people ORDER BY id LIMIT 1;
\x
\pset format csv
TABLE people;
\pset format html
TABLE names;
\set VERBOSITY verbose
INSERT INTO people (name) VALUES ('ann');
PREPARE p AS SELECT $1::int + 1;
EXECUTE p(1);
DEALLOCATE p;
LISTEN c;
NOTIFY c;
DO $$ BEGIN RAISE NOTICE 'n'; RAISE WARNING 'w' USING DETAIL = 'd', HINT = 'h'; END $$;
`

// TestPsqlDescribes compares what psql prints of every kind of object.
func TestPsqlDescribes(t *testing.T) { comparePsql(t, describeScript()) }

// TestPsqlUses compares the other things that psql does.
func TestPsqlUses(t *testing.T) { comparePsql(t, psqlUses) }

// psqlObjectsUses is what psql does with large objects, by the fast path. It shows no
// OIDs but those that are chosen.
const psqlObjectsUses = `\set QUIET off
SELECT lo_create(4711);
\lo_list
\lo_list+
\lo_export 4711 FILE
\lo_import FILE 'a comment'
SELECT count(*) FROM pg_largeobject_metadata;
\lo_unlink :LASTOID
\lo_unlink 99
BEGIN;
\lo_import FILE
\lo_export 99 FILE
\lo_import FILE
ROLLBACK;
SELECT lo_put(4711, 0, convert_to(repeat('content ', 20000), 'UTF8'));
\lo_export 4711 FILE
\lo_import FILE
SELECT md5(lo_get(:LASTOID)), length(lo_get(:LASTOID));
\lo_import FILE.missing
\lo_unlink :LASTOID
\lo_unlink 4711
\dl
SELECT count(*) FROM pg_largeobject;
`

// TestPsqlLargeObjects compares what psql makes of large objects.
func TestPsqlLargeObjects(t *testing.T) {
	imported := regexp.MustCompile(`lo_(import|unlink) [0-9]{5}`)
	run := func(t *testing.T, env []string, database string) string {
		file := filepath.Join(t.TempDir(), "content")
		out := settled(psqlRun(t, env, strings.ReplaceAll(psqlObjectsUses, "FILE", file)), database)
		return imported.ReplaceAllString(strings.ReplaceAll(out, file, "FILE"), "lo_$1 OID")
	}
	direct := testserver.Postgres(t)
	want := run(t, direct.Env(), direct.Database)
	if !strings.Contains(want, "lo_export") || !strings.Contains(want, "160000") || strings.Count(want, "lo_import OID") != 3 {
		t.Fatalf("psql prints\n%s", want)
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		if got := run(t, append(os.Environ(), r.env()...), r.pg.Database); got != want {
			t.Errorf("got\n%s\nwant\n%s", firstDifference(got, want), firstDifference(want, got))
		}
	})
}

func comparePsql(t *testing.T, script string) {
	direct := testserver.Postgres(t)
	direct.Exec(psqlObjects)
	want := settled(psqlRun(t, direct.Env(), script), direct.Database)
	if len(want) < 500 {
		t.Fatalf("psql prints\n%s", want)
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: psqlObjects})
		got := settled(psqlRun(t, append(os.Environ(), r.env()...), script), r.pg.Database)
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", firstDifference(got, want), firstDifference(want, got))
		}
	})
}

// serverPID is the sender of a notification, whose database this is not.
var serverPID = regexp.MustCompile(`PID [0-9]+|[0-9]+ kB|[0-9]+ MB|[0-9]+ bytes|test_[a-z0-9]+`)

// settled takes out what differs between two databases: their names and sizes, and
// process ids. Columns are as wide as what is in them.
func settled(out, database string) string {
	out = serverPID.ReplaceAllString(strings.ReplaceAll(out, database, "DB"), "X")
	return regexp.MustCompile(`[ -]{2,}`).ReplaceAllString(out, "  ")
}

func psqlRun(t *testing.T, env []string, script string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testserver.Command(t, "psql"), append([]string{"-X", "--no-password"}, args...)...)
	cmd.Env = append(slices.Clone(env), "PSQL_EDITOR=true")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return string(out)
}

// TestPsqlWatch compares statements that psql repeats until it is interrupted.
func TestPsqlWatch(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: "CREATE SEQUENCE turns"})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, testserver.Command(t, "psql"), "-X", "-At", "--no-password")
		cmd.Env = append(os.Environ(), r.env()...)
		cmd.Stdin = strings.NewReader("SELECT 'turn ' || nextval('turns') || left((1/(4 - currval('turns')))::text, 0) \\watch 0.01\nSELECT 'behind it'\n;")
		out, err := cmd.CombinedOutput()
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"turn 1\n", "turn 2\n", "turn 3\n", "division by zero", "behind it"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
}
