package pgproxy_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// noting is a policy that allows everything and notes the tables of each command.
type noting struct {
	mu     sync.Mutex
	tables map[string][]string // by the command's text
}

func (n *noting) Evaluate(_ context.Context, in *policy.Input) (policy.Decision, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tables == nil {
		n.tables = map[string][]string{}
	}
	var names []string
	for _, e := range in.Command.Effects {
		if e.Kind == "table" {
			names = append(names, e.Name)
		}
	}
	n.tables[in.Command.Text] = names
	return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
}

func (n *noting) of(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.tables[text], ",")
}

// facts runs a statement whose text nobody has sent before, and returns the tables
// that the policy was told of. The server says which one was read.
func (n *noting) facts(t *testing.T, conn *pgx.Conn, where string) (told, read string) {
	t.Helper()
	text := "SELECT DISTINCT tableoid::regclass::text, '" + where + "' FROM people"
	rows, err := runSimple(t.Context(), conn, text)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%s: %q, %v", text, rows, err)
	}
	return n.of(text), rows[0][0]
}

const peopleInTwo = `CREATE TABLE people (id int); INSERT INTO people VALUES (1); CREATE SCHEMA other; CREATE TABLE other.people (id int); INSERT INTO other.people VALUES (2);
	CREATE SCHEMA closed; CREATE TABLE closed.people (id int); INSERT INTO closed.people VALUES (3);
	CREATE FUNCTION go(path text) RETURNS text LANGUAGE sql AS 'SELECT set_config(''search_path'', path, false)';`

func eachVersion(t *testing.T, test func(t *testing.T, options []testserver.Option)) {
	t.Run("15", func(t *testing.T) { test(t, nil) })
	t.Run("18", func(t *testing.T) { test(t, []testserver.Option{testserver.Version18()}) })
}

// One session's path is not another's, whoever has read the catalogue last.
func TestSearchPathIsTheSessionsOwn(t *testing.T) {
	eachVersion(t, func(t *testing.T, options []testserver.Option) {
		told := new(noting)
		r := newRig(t, rigConfig{pg: options, setup: peopleInTwo, policy: told})
		a, b := r.connect(t), r.connect(t)
		want := func(conn *pgx.Conn, where, table string) {
			t.Helper()
			if got, _ := told.facts(t, conn, where); got != table {
				t.Errorf("%s: the policy is told of %q, not of %q", where, got, table)
			}
		}
		want(a, "a at first", "public.people")
		mustRun(t, a, "SET search_path = other", "CREATE TABLE fresh (id int)", "SELECT * FROM fresh")
		want(a, "a", "other.people")
		want(b, "b", "public.people")
		want(r.connect(t), "a new one", "public.people")
		mustRun(t, b, "CREATE TABLE fresher (id int)")
		want(b, "b again", "public.people")
		want(a, "a again", "other.people")
		mustRun(t, a, "BEGIN", "DECLARE c CURSOR FOR SELECT public.go('public')")
		want(a, "a with a cursor", "other.people")
		mustRun(t, a, "FETCH c")
		want(a, "a behind a function", "public.people")
		mustRun(t, a, "ROLLBACK", "DO $$ BEGIN SET search_path = public; END $$")
		want(a, "a behind code", "public.people")
	})
}

// An approval of a text along one path is none of the same text along another, where a
// function of that name is another one.
func TestSearchPathIsPartOfTheAction(t *testing.T) {
	var mu sync.Mutex
	digests := map[string]bool{}
	const text = "SELECT act()"
	r := newRig(t, rigConfig{policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Text == text {
			d, err := policy.ActionDigest(in, "1")
			if err != nil {
				return policy.Decision{}, err
			}
			mu.Lock()
			defer mu.Unlock()
			digests[d] = true
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	}), setup: `CREATE SCHEMA a; CREATE FUNCTION a.act() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SCHEMA b; CREATE FUNCTION b.act() RETURNS int LANGUAGE sql AS 'SELECT 2'`})
	conn := r.connect(t)
	mustRun(t, conn, "SET search_path = a", text, "SET search_path = b", text, "SET search_path = a", text)
	mu.Lock()
	defer mu.Unlock()
	if len(digests) != 2 {
		t.Errorf("%d actions, want 2", len(digests))
	}
}

// What is made without a schema is told of where it will be.
func TestSearchPathSaysWhereThingsAreMade(t *testing.T) {
	told := new(noting)
	r := newRig(t, rigConfig{setup: peopleInTwo, policy: told})
	conn := r.connect(t)
	for text, want := range map[string]string{
		"CREATE TABLE made_in_public (id int)": "public.made_in_public",
		"SET search_path = nowhere, other":     "",
		"CREATE TABLE made_in_other (id int)":  "other.made_in_other",
	} {
		if strings.HasPrefix(text, "CREATE TABLE made_in_other") {
			mustRun(t, conn, "SET search_path = nowhere, other")
		} else {
			mustRun(t, conn, "RESET search_path")
		}
		mustRun(t, conn, text)
		if got := told.of(text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func mustRun(t *testing.T, conn *pgx.Conn, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := runSimple(t.Context(), conn, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// A session of a user without rights everywhere, for whom a path is set, which changes.
func TestSearchPathOfAUser(t *testing.T) {
	eachVersion(t, func(t *testing.T, options []testserver.Option) {
		told := new(noting)
		var user string
		r := newRig(t, rigConfig{
			pg: options, policy: told, setup: peopleInTwo,
			proxy: pgproxy.Config{CatalogueMaxAge: 1},
			source: credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
				return &credsource.Credential{Username: user, Password: secret.New("password-of-a-plain-user")}, nil
			}),
		})
		user = strings.ToLower("Plain_" + r.pg.Database)
		r.pg.Exec("CREATE USER " + user + " PASSWORD 'password-of-a-plain-user'; GRANT USAGE ON SCHEMA other TO " + user + "; GRANT SELECT ON people, other.people, closed.people TO " + user)
		t.Cleanup(func() { r.pg.Exec("DROP OWNED BY " + user + " CASCADE; DROP USER " + user) })
		right := func(conn *pgx.Conn, where string) {
			t.Helper()
			got, read := told.facts(t, conn, where)
			shown, err := runSimple(t.Context(), conn, "SELECT nspname || '.people' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE c.oid = '"+read+"'::regclass")
			if err != nil || got != joined(shown) {
				t.Errorf("%s: the policy is told of %q, the server reads %q, %v", where, got, joined(shown), err)
			}
		}
		first := r.connect(t)
		right(first, "at first")
		mustRun(t, first, "SET search_path = closed, other, public")
		right(first, "where it may not look")
		r.pg.Exec("GRANT USAGE ON SCHEMA closed TO " + user)
		right(first, "where it may look now")
		mustRun(t, first, "RESET search_path")
		r.pg.Exec("ALTER ROLE " + user + " SET search_path = other")
		right(first, "old session")
		second := r.connect(t)
		right(second, "new session")
		mustRun(t, second, "SET search_path = public", "BEGIN")
		right(second, "changed")
		mustRun(t, second, "SET search_path TO DEFAULT")
		right(second, "back at its default")
		mustRun(t, second, "ROLLBACK")
		right(second, "rolled back")
		right(first, "old session again")
		mustRun(t, first, "RESET ALL")
		right(first, "old session, reset")
		r.pg.Exec("ALTER ROLE " + user + " RESET search_path; CREATE SCHEMA AUTHORIZATION " + user + "; CREATE TABLE " + user + ".people (id int); INSERT INTO " + user + ".people VALUES (4); GRANT SELECT ON " + user + ".people TO " + user)
		right(first, "a schema of its own")
		right(r.connect(t), "a schema of its own, new session")
	})
}

// Where the server's configuration is loaded again, RESET leads somewhere else than to
// what the session began with.
func TestSearchPathOfAServerThatIsConfiguredAnew(t *testing.T) {
	told := new(noting)
	r := newRig(t, rigConfig{pg: []testserver.Option{testserver.Own()}, policy: told, setup: peopleInTwo, proxy: pgproxy.Config{CatalogueMaxAge: 1}})
	conn, probe := r.connect(t), r.connect(t)
	mustRun(t, conn, `SET search_path = "$user", public`)
	if got, read := told.facts(t, conn, "before"); got != "public.people" || read != "people" {
		t.Fatalf("the policy is told of %q, the server reads %q", got, read)
	}
	r.pg.Exec("ALTER SYSTEM SET search_path = other")
	r.pg.Exec("SELECT pg_reload_conf()")
	for shown := ""; shown != "other"; { // until the sessions have been told
		rows, err := runSimple(t.Context(), probe, "SHOW search_path")
		if err != nil {
			t.Fatal(err)
		}
		shown = joined(rows)
	}
	for i, step := range []string{"SELECT 1 FROM people", "RESET search_path", "SELECT count(*) FROM pg_class"} {
		mustRun(t, conn, step)
		got, read := told.facts(t, conn, "step "+strconv.Itoa(i))
		shown, err := runSimple(t.Context(), conn, "SELECT nspname || '.people' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE c.oid = '"+read+"'::regclass")
		if err != nil || got != joined(shown) {
			t.Errorf("%s: the policy is told of %q, the server reads %q, %v", step, got, joined(shown), err)
		}
	}
}

// The questions of the gateway's own are not seen: what the server answers through
// the gateway is what it answers directly.
func TestSearchPathIsAskedUnseen(t *testing.T) {
	eachVersion(t, func(t *testing.T, options []testserver.Option) {
		p := newPair(t, onReactor, options...)
		for name, messages := range pathScripts() {
			t.Run(name, func(t *testing.T) {
				for _, lockstep := range []bool{true, false} {
					g := &generator{sequence: &sequence{lockstep: lockstep}, choose: func(int) int { return 1 }}
					for _, m := range messages {
						g.add(m)
						if lockstep && endsBatch(m) {
							g.flush()
						}
					}
					g.add(&pgproto3.Terminate{})
					g.groups = append(g.groups, g.group)
					if lockstep { // nothing answers the last
						n := len(g.groups)
						g.groups = append(g.groups[:n-2], slices.Concat(g.groups[n-2], g.groups[n-1]))
					}
					p.differs(t, g.sequence)
				}
			})
		}
	})
}

// pathScripts change the search path between, and in, the tables of
// differentialSchema.
func pathScripts() map[string][]pgproto3.FrontendMessage {
	q := func(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }
	batch := func(parts ...any) []pgproto3.FrontendMessage { return pipeline(append(parts, &pgproto3.Sync{})...) }
	const other = "SET search_path = pg_temp, public"
	return map[string][]pgproto3.FrontendMessage{
		"queries":          pipeline(q(other), q("SELECT * FROM t"), q("SET search_path = nowhere"), q("SELECT * FROM t"), q("RESET search_path"), q("SELECT * FROM t"), q("SHOW search_path")),
		"snapshot":         pipeline(q("BEGIN"), q(other), q("LOCK TABLE t"), q("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), q("SELECT * FROM t"), q("COMMIT")),
		"batch that fails": pipeline(batch(other, "SELECT * FROM t", "SELECT 1/0", "SELECT * FROM t"), batch("SHOW search_path", "SELECT * FROM t")),
		"failed":           pipeline(q("BEGIN"), q(other), q("SELECT 1/0"), batch("SELECT * FROM t"), q("SELECT * FROM t"), batch("ROLLBACK", "SELECT * FROM t")),
		"failed code":      pipeline(q("BEGIN"), q("SELECT talk(2)"), batch("SELECT talk(9)"), q("SELECT * FROM t"), q("ROLLBACK; SELECT * FROM v"), q("BEGIN"), q("SELECT talk(3)"), q("COMMIT; SELECT * FROM t")),
		"unnamed statement": pipeline(q(other), &pgproto3.Parse{Query: "SELECT * FROM t"}, &pgproto3.Sync{}, batch("SET search_path = public"), &pgproto3.Parse{Query: "SELECT id FROM t"}, &pgproto3.Sync{},
			&pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}, q("SELECT talk(1)"), &pgproto3.Parse{Name: "n", Query: "SELECT * FROM u"}, &pgproto3.Bind{PreparedStatement: "n"}, &pgproto3.Execute{}, &pgproto3.Sync{}),
		"unnamed statement kept": pipeline(&pgproto3.Parse{Query: "SELECT id FROM t"}, &pgproto3.Sync{}, &pgproto3.Parse{Name: "s", Query: "SET search_path = public, pg_temp"}, &pgproto3.Bind{PreparedStatement: "s", DestinationPortal: "s"}, &pgproto3.Execute{Portal: "s"}, &pgproto3.Sync{}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}),
		"portal":                 pipeline(q("BEGIN"), &pgproto3.Parse{Query: "SELECT generate_series(1, 4)"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{}, q("SET LOCAL search_path = public, pg_temp"), q("SELECT * FROM t"), &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{}, q("COMMIT")),
		"copy":                   pipeline(q("SET search_path = pg_temp, public"), q("COPY t TO STDOUT"), batch("COPY t (id) TO STDOUT"), q("COPY no_such FROM STDIN"), q("SELECT count(*) FROM t")),
		"discard":                pipeline(q(other), q("DISCARD ALL"), q("SELECT * FROM t"), q("RESET ALL; SELECT id FROM t WHERE id = 1")),
	}
}

func endsBatch(m pgproto3.FrontendMessage) bool {
	switch m.(type) {
	case *pgproto3.Sync, *pgproto3.Query:
		return true
	default:
		return false
	}
}
