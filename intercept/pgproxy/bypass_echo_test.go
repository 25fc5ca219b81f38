package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// echoed is the password of the role that the gateway logs in as: the tests'
// canary. lit is an SQL literal of it.
const (
	echoed = `pw"4'x\+/&%-Zq7kJ`
	lit    = `E'pw"4\'x\\+/&%-Zq7kJ'`
)

const echoSetup = `CREATE ROLE app SUPERUSER LOGIN PASSWORD ` + lit + `;
CREATE TABLE vault (id int PRIMARY KEY, note text, raw bytea, doc jsonb);
INSERT INTO vault SELECT 1, s, convert_to(s, 'UTF8'), jsonb_build_object('dsn', 'postgres://app:' || s || '@db/x') FROM (SELECT ` + lit + ` s) s;
CREATE FUNCTION tell(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'it is %', t USING DETAIL = t, HINT = t; RETURN 7; END $$;
CREATE FUNCTION cry(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it is %', t USING DETAIL = t, HINT = t, COLUMN = t; END $$;
DO $$ BEGIN EXECUTE format('COPY (SELECT note FROM vault) TO %L', current_setting('data_directory') || '/echo.txt'); END $$;`

// echoAttempts bring the password back in some way; twins do the same with
// another text.
func echoAttempts() []attempt {
	padded := func(expr string) string {
		return `SELECT ` + expr + ` FROM (SELECT repeat('.', n) || note || '.-.' AS p FROM vault, generate_series(0, 80) n) t`
	}
	return []attempt{
		{"a literal", []string{`SELECT ` + lit}, `SELECT 'pw"4''y'`, `pw"4'y`},
		{"a table", []string{`SELECT note FROM vault`, `TABLE vault`}, `SELECT id FROM vault`, "1"},
		{"a cast error", []string{`SELECT ` + lit + `::int`, `SELECT note::int FROM vault`}, `SELECT '12'::int`, "12"},
		{"a notice", []string{`SELECT tell(` + lit + `)`}, `SELECT tell('nothing')`, "7"},
		{"an exception", []string{`SELECT cry(` + lit + `)`}, `SELECT 2`, "2"},
		{"chr", []string{`SELECT string_agg(chr(c), '' ORDER BY n) FROM (SELECT n, ascii(substr(note, n, 1)) c FROM vault, generate_series(1, length(note)) n) t`},
			`SELECT chr(65) || chr(66)`, "AB"},
		{"hex", []string{`SELECT encode(raw, 'hex') FROM vault`, `SELECT upper(encode(raw, 'hex')) FROM vault`}, `SELECT encode('ab', 'hex')`, "6162"},
		{"bytea", []string{`SELECT raw FROM vault`, `SET bytea_output = escape`, `SELECT raw FROM vault`}, `SELECT 'ab'::bytea`, `\x6162`},
		{"escape", []string{`SELECT encode(raw, 'escape') FROM vault`}, `SELECT encode('ab', 'escape')`, "ab"},
		{"base64", []string{padded(`encode(convert_to(p, 'UTF8'), 'base64')`)}, `SELECT encode('abc', 'base64')`, "YWJj"},
		{"base64 for URLs", []string{padded(`translate(encode(convert_to(p, 'UTF8'), 'base64'), E'+/=\n', '-_')`)}, `SELECT translate('a+b', '+', '-')`, "a-b"},
		{"base64 in JSON", []string{padded(`to_json(encode(convert_to(p, 'UTF8'), 'base64'))`)}, `SELECT to_json('a'::text)`, `"a"`},
		{"hex at any place", []string{padded(`encode(convert_to(p, 'UTF8'), 'hex')`)}, `SELECT encode('xab', 'hex')`, "786162"},
		{"JSON", []string{`SELECT doc FROM vault`, `SELECT to_json(note) FROM vault`, `SELECT row_to_json(v) FROM vault v`, `SELECT json_agg(v)::text FROM vault v`}, `SELECT to_json('a"b'::text)`, `"a\"b"`},
		{"an array", []string{`SELECT array_agg(note) FROM vault`, `SELECT ARRAY[note, note]::text FROM vault`}, `SELECT ARRAY['a"b']`, `{"a\"b"}`},
		{"a row", []string{`SELECT v FROM vault v`, `SELECT ROW(note, note) FROM vault`}, `SELECT ROW(1, 'a"b')`, `(1,"a""b")`},
		{"quoting", []string{`SELECT quote_literal(note), quote_ident(note), format('%L %I', note, note) FROM vault`}, `SELECT quote_literal('a''b')`, `'a''b'`},
		{"XML", []string{`SELECT xmlelement(name x, xmlattributes(note AS a), note)::text FROM vault`}, `SELECT xmlelement(name x, 'ab')::text`, "<x>ab</x>"},
		{"twice in a value", []string{`SELECT note || note || 'pw"4' || note FROM vault`}, `SELECT 'pw"4pw"4'`, `pw"4pw"4`},
		{"a large value", []string{`SELECT repeat(note || '.', 20000) FROM vault`, `SELECT repeat('.', 65500) || repeat(note, 3000) FROM vault`},
			`SELECT length(repeat('pw"4', 20000))`, "80000"},
		{"a column's name", []string{`SELECT 1 AS "pw""4'x\+/&%-Zq7kJ"`}, `SELECT 1 AS "pw"`, "1"},
		{"a name that does not exist", []string{`SELECT * FROM "pw""4'x\+/&%-Zq7kJ"`, `SELECT "pw""4'x\+/&%-Zq7kJ" FROM vault`}, `SELECT 3`, "3"},
		{"a setting", []string{`SET application_name TO ` + lit, `SHOW application_name`, `SELECT current_setting('application_name')`, `SELECT application_name FROM pg_stat_activity`},
			`SET application_name TO 'fine'; SHOW application_name`, "fine"},
		{"a notification", []string{`LISTEN c`, `SELECT pg_notify('c', note) FROM vault`, `SELECT 1`}, `SELECT 4`, "4"},
		{"a cursor", []string{`BEGIN`, `DECLARE c CURSOR FOR SELECT note FROM vault`, `FETCH 1 FROM c`, `ROLLBACK`}, `SELECT 5`, "5"},
		{"a statement's own text", []string{`SELECT query FROM pg_stat_activity WHERE query LIKE '%Zq7kJ%' AND ` + lit + ` <> ''`}, `SELECT count(*) FROM pg_stat_activity WHERE query = 'x'`, "0"},
		{"a plan", []string{`EXPLAIN SELECT * FROM vault WHERE note = ` + lit}, `SELECT 6`, "6"},
		{"a file", []string{`SELECT pg_read_file('echo.txt')`}, `SELECT length(pg_read_file('echo.txt')) > 0`, "t"},
		{"the stored hash", []string{`SELECT md5(note || 'app') FROM vault`, `SELECT 'md5' || upper(md5(note || 'app')) FROM vault`}, `SELECT md5('a')`, "0cc175b9c0f1b6a831c399e269772661"},
		{"UTF-16", []string{`SELECT decode(regexp_replace(encode(raw, 'hex'), '(..)', '\100', 'g'), 'hex') FROM vault`}, `SELECT '\x6100'::bytea`, `\x6100`},
		{"a domain's constraint", []string{`CREATE DOMAIN d AS text CHECK (value <> ` + lit + `)`, `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid <> 0`}, `SELECT 8`, "8"},
		{"a unique violation", []string{`CREATE TABLE u (a text UNIQUE)`, `INSERT INTO u SELECT note FROM vault`, `INSERT INTO u SELECT note FROM vault`}, `SELECT 9`, "9"},
		{"RETURNING", []string{`INSERT INTO vault VALUES (2, ` + lit + `) RETURNING note`}, `SELECT 10`, "10"},
	}
}

func newEchoRig(t *testing.T, d driver) *rig {
	return newRig(t, rigConfig{driver: d, setup: echoSetup, pg: []testserver.Option{testserver.Own()}, proxy: pgproxy.Config{PassNotifications: true},
		source: credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return &credsource.Credential{Username: "app", Password: secret.New(echoed)}, nil
		})})
}

func TestTheCredentialDoesNotComeBack(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newEchoRig(t, d)
		tried, attempts := modes()[:5], echoAttempts()
		if d != onReactor { // drivers differ in how they move bytes, not in what they are
			tried = tried[:2]
			attempts = slices.DeleteFunc(attempts, func(a attempt) bool {
				return !slices.Contains([]string{"a table", "a notice", "base64", "a large value", "a setting", "a notification"}, a.name)
			})
		}
		for _, a := range attempts {
			t.Run(a.name, func(t *testing.T) {
				for _, m := range tried {
					a.tryEcho(t, r, m)
				}
			})
		}
		if disguise := decodes(recorded(r)); disguise != "" {
			t.Errorf("the record holds the password: %s", disguise)
		}
	})
}

func (a attempt) tryEcho(t *testing.T, r *rig, m mode) {
	t.Helper()
	conn, wire := r.connectWatched(t)
	defer conn.Close(context.Background())
	for _, step := range a.steps {
		rows, err := m.run(t.Context(), conn, step)
		if disguise := decodes(wire.take()); disguise != "" {
			t.Errorf("%s: %s: leaked %s: %.200q %v", m.name, step, disguise, rows, err)
		}
	}
	if a.changes() {
		_, _ = runSimple(t.Context(), conn, "DROP DOMAIN IF EXISTS d; DROP TABLE IF EXISTS u; DELETE FROM vault WHERE id > 1") // what the steps left behind
	}
	a.tryTwin(t, r, m)
}

// take returns what has been received, and forgets it.
func (w *wire) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := bytes.Clone(w.got)
	w.got = w.got[:0]
	return got
}

var (
	base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}`)
	hexRun    = regexp.MustCompile(`[0-9a-fA-F]{16,}`)
	octalByte = regexp.MustCompile(`\\[0-7]{3}`)
)

// decodes says in which disguise the password is in p, "" if it is not: p is
// decoded in every way, as somebody who searches for it would.
func decodes(p []byte) string {
	text := string(p)
	unbroken := strings.NewReplacer("\n", "", `\n`, "", `\\n`, "").Replace(text)
	views := map[string][]string{"clear": {text}, "UTF-16": {strings.ReplaceAll(text, "\x00", "")}}
	for _, run := range base64Run.FindAllString(unbroken, -1) {
		run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
		for from := range 4 {
			if from < len(run) {
				part := run[from:]
				raw, _ := base64.RawStdEncoding.DecodeString(part[:len(part)/4*4])
				views["base64"] = append(views["base64"], string(raw))
			}
		}
	}
	for _, run := range hexRun.FindAllString(text, -1) {
		for from := range 2 {
			raw, _ := hex.DecodeString(run[from : from+(len(run)-from)/2*2])
			views["hex"] = append(views["hex"], string(raw), strings.ReplaceAll(string(raw), "\x00", ""))
		}
	}
	if u, err := url.QueryUnescape(text); err == nil {
		views["url"] = []string{u}
	}
	views["octal"] = []string{octalByte.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.ParseUint(s[1:], 8, 16)
		return string(rune(n))
	})}
	views["quotes"] = []string{strings.NewReplacer(`\\`, `\`, `\"`, `"`, `""`, `"`, `''`, `'`, `&amp;`, "&", `&quot;`, `"`, `\/`, "/", `\u0026`, "&").Replace(text)}
	views["quotes"] = append(views["quotes"], strings.NewReplacer(`\\`, `\`, `\"`, `"`, `""`, `"`, `''`, `'`).Replace(views["quotes"][0]))
	for name, all := range views {
		for _, v := range all {
			if strings.Contains(v, echoed) {
				return name
			}
		}
	}
	if strings.Contains(strings.ToLower(text), md5Stored) {
		return "md5"
	}
	return ""
}

// md5Stored is what pg_authid would hold of the password under md5.
const md5Stored = "ecbc7f8404c463f2767f251eef089025"

func recorded(r *rig) []byte {
	var all []byte
	for _, s := range r.recorder.Sessions() {
		for _, e := range r.recorder.Entries(s) {
			all = append(append(all, e.Payload...), '\n')
		}
	}
	return all
}

// The search of these tests finds the password where nothing hides it.
func TestDisguisesAreSeenThrough(t *testing.T) {
	pg := testserver.Postgres(t, testserver.Own())
	pg.Exec(echoSetup)
	for _, a := range echoAttempts() {
		switch a.name {
		case "a cast error", "an exception", "a notice", "a notification", "a name that does not exist", "a unique violation", "a column's name", "a statement's own text", "a setting":
			continue // nothing comes back in rows
		}
		seen := false
		for _, step := range a.steps {
			if step == "ROLLBACK" || step == "BEGIN" || strings.HasPrefix(step, "DECLARE") || strings.HasPrefix(step, "FETCH") {
				step = "SELECT note FROM vault"
			}
			seen = seen || decodes([]byte(fmt.Sprint(pg.Query(step)))) != ""
		}
		if !seen {
			t.Errorf("%s: nothing to be seen", a.name)
		}
	}
}

// What a client has set at startup comes back as a ParameterStatus.
func TestTheCredentialInStartupParameters(t *testing.T) {
	r := newEchoRig(t, onReactor)
	conn, err := pgx.ParseConfig(r.url())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{echoed: strings.Repeat("*", len(echoed)), "psql": "psql"} {
		conn.RuntimeParams["application_name"] = name
		c, err := pgx.ConnectConfig(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.PgConn().ParameterStatus("application_name"); got != want {
			t.Errorf("%q came back as %q", name, got)
		}
		_ = c.Close(context.Background())
	}
}

// A refreshed credential does not make the session forget the one before.
func TestEveryCredentialOfTheSessionIsLookedFor(t *testing.T) {
	const old = "the-password-of-yesterday"
	r := newRig(t, rigConfig{setup: echoSetup, pg: []testserver.Option{testserver.Own()}, source: rotated{old}})
	c := r.session(t)
	c.send(&pgproto3.Query{String: "SELECT '" + old + "', " + lit + ", 'plain'"})
	got := fmt.Sprint(c.until(1))
	if strings.Contains(got, old) || strings.Contains(got, echoed) || !strings.Contains(got, "plain") {
		t.Errorf("got %s", got)
	}
	for _, e := range r.recorder.Entries(r.recorder.Sessions()[0]) {
		if e.Type == record.TypeCommand && bytes.Contains(e.Payload, []byte(`"query"`)) && !bytes.Contains(e.Payload, []byte("plain")) {
			t.Errorf("not recorded: %s", e.Payload)
		}
	}
	if all := recorded(r); bytes.Contains(all, []byte(old)) || decodes(all) != "" {
		t.Error("a password is in the record")
	}
}

// rotated is a source whose first credential the server does not take.
type rotated struct{ old string }

func (s rotated) Credential(context.Context, credsource.Request) (*credsource.Credential, error) {
	return &credsource.Credential{Username: "app", Password: secret.New(s.old)}, nil
}

func (rotated) Refresh(context.Context, credsource.Request, *credsource.Credential) (*credsource.Credential, error) {
	return &credsource.Credential{Username: "app", Password: secret.New(echoed)}, nil
}
