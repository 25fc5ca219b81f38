package pgproxy_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// pathSchema adds to bypassSchema what search paths lead to: other.people has no
// masks, and evil holds what could be taken for something built in.
const pathSchema = `
CREATE FUNCTION go_other() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'other', false); RETURN 1; END $$;
CREATE FUNCTION go_public() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'public', false); RETURN 1; END $$;
CREATE VIEW going AS SELECT go_public() AS gone;
CREATE VIEW setting_public AS SELECT set_config('search_path', 'public', false) AS gone;
CREATE VIEW setting_other AS SELECT set_config('search_path', 'other', false) AS gone;
CREATE SCHEMA evil;
CREATE FUNCTION evil.version() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT email FROM public.people ORDER BY id LIMIT 1';
CREATE FUNCTION evil.joined(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT email FROM public.people ORDER BY id LIMIT 1';
CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.joined);
CREATE VIEW evil.orders AS SELECT id, email AS item FROM public.people;
CREATE TABLE evil.pg_class (relname text); INSERT INTO evil.pg_class VALUES ('of evil');
CREATE SCHEMA "Mixed Case"; CREATE TABLE "Mixed Case".people AS SELECT * FROM other.people;
CREATE TABLE evil.pg_settings AS SELECT 'search_path'::text AS name;
`

// pathQuery reads public.people, which is masked, or other.people, which is not.
const pathQuery = "SELECT email FROM people"

// A pathAttempt is a session in which the search path changes. Steps that begin with
// "open" or "masked" run pathQuery, or what follows, and say of which table it must
// be by then; "refused" steps must be refused. "prepare" and "run" are about a
// statement of the protocol.
type pathAttempt struct {
	name  string
	steps []string
}

func pathAttempts() []pathAttempt {
	return []pathAttempt{
		{"set and reset", []string{"masked", "SET search_path = other", "open", "SET search_path = public, other", "masked", "SET search_path TO 'other'", "open", "RESET search_path", "masked"}},
		{"set_config", []string{"SELECT set_config('search_path', 'other', false)", "open", "SELECT pg_catalog.set_config('SEARCH_PATH', 'public', false)", "masked", "SELECT * FROM set_config('search_path', 'other', false)", "open",
			"SELECT CASE WHEN true THEN set_config('search_path', 'public', false) END", "masked", "refused SELECT set_config('search_path', NULL, false)", "masked", "refused SELECT set_config('search_' || 'path', 'other', false)", "masked"}},
		{"other words", []string{"SET SCHEMA 'other'", "open", `SET U&"s\0065arch_path" = public`, "masked", "SET SESSION search_path TO other", "open", "SET search_path TO DEFAULT", "masked"}},
		{"names are folded and quoted", []string{"SELECT set_config('search_path', ' OTHER ,public', false)", "open", `SET search_path = "OTHER", public`, "masked", `SET search_path = "Mixed Case"`, "open", `SELECT set_config('search_path', '"mixed case", public', false)`, "masked", `SET search_path = 'other, public', public`, "masked"}},
		{"local", []string{"BEGIN", "SET LOCAL search_path = other", "open", "COMMIT", "masked", "BEGIN", "SELECT set_config('search_path', 'other', true)", "open", "ROLLBACK", "masked"}},
		{"rolled back", []string{"BEGIN", "SET search_path = other", "open", "ROLLBACK", "masked", "SET search_path = other", "BEGIN", "SET search_path = public", "masked", "ROLLBACK", "open", "BEGIN", "SET search_path = public", "COMMIT", "masked"}},
		{"local outside of a transaction", []string{"SET LOCAL search_path = other", "masked"}},
		{"savepoints", []string{"SET search_path = other", "BEGIN", "SAVEPOINT s", "SET search_path = public", "masked", "ROLLBACK TO s", "open", "SET search_path = public", "SAVEPOINT t", "SET LOCAL search_path = other", "RELEASE t", "open", "ROLLBACK TO s", "open", "SET search_path = public", "COMMIT", "masked"}},
		{"rolled back by an error", []string{"SET search_path = other", "BEGIN", "SET search_path = public", "SELECT 1/0", "SELECT email FROM people", "ROLLBACK", "open", "BEGIN", "SET search_path = public", "SELECT 1/0", "COMMIT", "open"}},
		{"chained", []string{"BEGIN", "SET LOCAL search_path = other", "open", "COMMIT AND CHAIN", "masked", "SET search_path = other", "ROLLBACK AND CHAIN", "masked", "COMMIT"}},
		{"discarded", []string{"SET search_path = other", "open", "RESET ALL", "masked", "SET search_path = other", "DISCARD ALL", "masked"}},
		{"by a function", []string{"SELECT go_other()", "open", "SELECT public.go_public()", "masked", "SET search_path = other, public", "open", "SELECT count(*) FROM going", "masked", "SELECT go_other() FROM orders LIMIT 0", "masked", "BEGIN", "SELECT go_other()", "open", "ROLLBACK", "masked"}},
		{"by a view that calls what is built in", []string{"SELECT gone FROM setting_other", "open", "EXPLAIN ANALYZE SELECT * FROM public.setting_public", "masked", "SET search_path = other", "PREPARE v AS TABLE public.setting_public", "open", "EXECUTE v", "masked",
			"SET search_path = other", "SELECT id FROM public.orders WHERE (SELECT gone FROM public.setting_public) = ''", "masked"}},
		{"by what a definition keeps", []string{"refused CREATE VIEW kept AS SELECT set_config('search_path', 'public', false)", "refused CREATE TEMP TABLE kept (a text DEFAULT set_config('search_path', 'public', false))",
			"refused CREATE TEMP TABLE kept (a int CHECK (set_config('search_path', 'public', false) IS NOT NULL))", "refused CREATE DOMAIN kept AS int CHECK (set_config('search_path', 'public', false) IS NOT NULL)",
			"refused ALTER TABLE notes ALTER body SET DEFAULT set_config('search_path', 'public', false)", "refused CREATE POLICY kept ON orders USING (set_config('search_path', 'public', false) IS NOT NULL)",
			"refused CREATE SCHEMA kept CREATE VIEW v AS SELECT set_config('search_path', 'public', false)", "refused CREATE MATERIALIZED VIEW kept AS SELECT set_config('search_path', 'public', false)",
			"refused ALTER SYSTEM RESET search_path", "refused ALTER SYSTEM RESET ALL", "masked"}},
		{"by what is made at once", []string{"CREATE TEMP TABLE at_once AS SELECT set_config('search_path', 'other', false) AS path", "open", "SELECT set_config('search_path', 'public', false) AS path INTO TEMP at_once_too", "masked"}},
		{"by a prepared function", []string{"SET search_path = other, public", "PREPARE f AS SELECT go_public()", "open", "EXECUTE f", "masked"}},
		{"by a prepared set_config", []string{"PREPARE f AS SELECT set_config('search_path', 'other', false)", "masked", "EXECUTE f", "open", "EXPLAIN ANALYZE EXECUTE f", "RESET search_path", "masked", "BEGIN", "DECLARE c CURSOR FOR SELECT set_config('search_path', 'other', false)", "FETCH c", "open", "COMMIT", "open"}},
		{"prepared by the protocol", []string{"SET search_path = other", "prepare SELECT email FROM people", "open run", "SET search_path = public", "masked run", "BEGIN", "SET LOCAL search_path = other", "open run", "ROLLBACK", "masked run", "prepare SELECT * FROM (SELECT email FROM people) p", "masked run", "SET search_path = other", "open run"}},
		{"prepared by SQL", []string{"SET search_path = other", "PREPARE q AS SELECT email FROM people", "open EXECUTE q", "SET search_path = public", "masked EXECUTE q", "RESET ALL", "masked EXECUTE q", "prepare EXECUTE q", "SET search_path = other", "open run", "SET search_path = public", "masked run"}},
		{"cursor", []string{"BEGIN", "DECLARE c CURSOR FOR SELECT email FROM people", "SET search_path = other", "masked FETCH ALL c", "DECLARE d CURSOR FOR SELECT email FROM people", "RESET search_path", "open FETCH ALL d", "ROLLBACK"}},
		{"view in another schema", []string{"SET search_path = evil, public", "masked SELECT item FROM orders", "masked SELECT item AS x FROM evil.orders", "SET search_path = public", "SELECT item FROM orders"}},
		{"functions and operators before the built-in ones", []string{"SET search_path = evil, pg_catalog", "SELECT version()", "SELECT version(), id FROM public.orders", "SELECT 'a'::pg_catalog.text || 'b'::pg_catalog.text", "SELECT item || item FROM public.orders", "SELECT count(*) FROM public.orders WHERE version() IS NULL"}},
		{"temporary tables last", []string{"CREATE TEMP TABLE people (email text)", "SET search_path = public, pg_temp", "masked", "SET search_path = pg_temp, public", "SELECT email FROM people", "SET search_path = other, pg_temp", "open", "DROP TABLE pg_temp.people", "RESET search_path", "masked"}},
		{"pg_settings of another", []string{"SET search_path = evil, pg_catalog", "refused SELECT set_config(name, 'other', false) FROM pg_settings WHERE name = 'search_path'", "RESET search_path", "refused SELECT set_config(name, 'other', false) FROM pg_settings WHERE name = 'search_path'", "masked"}},
		{"names like others", []string{`SET search_path = "$user", public, other`, "masked", `SET search_path = "$User", other`, "open", `SELECT set_config('search_path', '"$user", "public"', false)`, "masked",
			`SET search_path = '$user', other`, "open", `SELECT set_config('search_path', '$user,public', false)`, "masked", `SELECT set_config('search_path', '"pub""lic", public', false)`, "masked"}},
		{"by functions all over", []string{"SET search_path = other, public", "open", "SELECT id FROM orders ORDER BY go_public() LIMIT 1", "masked", "SET search_path = other, public", "open", "SELECT * FROM ROWS FROM (go_public())", "masked",
			"SET search_path = other, public", "open", "SELECT id FROM orders TABLESAMPLE bernoulli (100 * go_public())", "masked", "SET search_path = other, public", "open", "SELECT id FROM orders LIMIT go_public()", "masked", "SET search_path = other, public", "open", "VALUES (go_public())", "masked"}},
		{"lengths", []string{"SET search_path = " + strings.Repeat("x", 70) + ", other", "open", "SELECT set_config('search_path', '\"" + strings.Repeat("é", 40) + "\", public', false)", "masked"}},
		{"empty", []string{"SELECT set_config('search_path', '', false)", "SELECT email FROM people", "masked SELECT email FROM public.people", "open SELECT email FROM other.people", `SET search_path = ""`, "SELECT email FROM people", "RESET ALL", "masked"}},
	}
}

// A changed search path leads the gateway where it leads the server: what is masked
// stays masked, and what is not is shown.
func TestBypassBySearchPath(t *testing.T) {
	for _, server := range []struct {
		name    string
		options []testserver.Option
	}{{"15", nil}, {"18", []testserver.Option{testserver.Version18()}}} {
		t.Run(server.name, func(t *testing.T) {
			r := newRig(t, rigConfig{
				pg: server.options, policy: maskedColumns(), setup: forEveryVersion(bypassSchema) + pathSchema,
				proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")},
			})
			for _, a := range pathAttempts() {
				for _, m := range modes()[:3] {
					t.Run(a.name+"/"+m.name, func(t *testing.T) { a.try(t, r, m) })
				}
			}
		})
	}
}

// forEveryVersion leaves out of bypassSchema what newer servers have for keywords.
func forEveryVersion(schema string) string {
	return regexp.MustCompile(`(?m)^CREATE FUNCTION json_.*$`).ReplaceAllString(schema, "")
}

func (a pathAttempt) try(t *testing.T, r *rig, m mode) {
	conn, wire := r.connectWatched(t)
	ctx := context.Background()
	run := func(sql string) ([][]string, error) {
		switch sql {
		case "":
			return m.run(ctx, conn, pathQuery)
		case "run":
			return runStep(conn, "run:")
		default:
			return m.run(ctx, conn, sql)
		}
	}
	for _, step := range a.steps {
		word, sql, _ := strings.Cut(step, " ")
		var rows [][]string
		var err error
		switch word {
		case "open":
			if rows, err = run(sql); err != nil || joined(rows) != "open@public.example" {
				t.Fatalf("%s: %q, %v", step, rows, err)
			}
		case "masked":
			if rows, err = run(sql); err != nil || len(rows) != 3 {
				t.Fatalf("%s: %q, %v", step, rows, err)
			}
		case "refused":
			if rows, err = run(sql); sqlState(err) != "0A000" {
				t.Fatalf("%s: %q, %v", step, rows, err)
			}
		case "prepare":
			_, err = conn.PgConn().Prepare(ctx, "shadowed", sql, nil)
		default:
			rows, err = run(step)
		}
		if found := wire.leaks(); len(found) > 0 {
			t.Fatalf("%q leaked by %q: %q, %v", found, step, rows, err)
		}
	}
}

// pathBursts are messages that a client sends without waiting for answers. None may
// show what is masked; where open is set, the unmasked table's row must come.
func pathBursts() map[string]struct {
	burst burst
	open  bool
} {
	const other, public = "SET search_path = other", "SET search_path = public"
	type b = struct {
		burst burst
		open  bool
	}
	batch := func(sql ...string) burst {
		var all []pgproto3.FrontendMessage
		for _, one := range sql {
			all = append(all, extended(one)...)
		}
		return synced(all...)
	}
	parsed := func(sql string) burst { return synced(&pgproto3.Parse{Name: "q", Query: sql}) }
	bound := func(between ...pgproto3.FrontendMessage) burst {
		all := append([]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "q", DestinationPortal: "p"}}, between...)
		return synced(append(all, &pgproto3.Execute{Portal: "p"})...)
	}
	return map[string]b{
		"queries":                         {simple(other, pathQuery), true},
		"queries back":                    {simple(other, public, pathQuery), false},
		"rolled back":                     {simple(other, "BEGIN", public, "SELECT 1/0", "ROLLBACK", pathQuery), true},
		"rolled back to the masked":       {simple("BEGIN", other, "ROLLBACK", pathQuery), false},
		"batch":                           {batch(other, pathQuery), true},
		"batches":                         {together(batch(other), batch(pathQuery)), true},
		"local in a batch":                {together(batch("SELECT set_config('search_path', 'other', true)", pathQuery), batch(public, pathQuery)), true},
		"local in a batch, then past it":  {together(batch("SELECT set_config('search_path', 'other', true)"), batch(pathQuery)), false},
		"local in a batch that asked":     {together(batch("SELECT set_config('search_path', 'other', true)", pathQuery), simple(pathQuery)), true},
		"rolled back in a batch":          {batch("BEGIN", other, pathQuery, "ROLLBACK", pathQuery), true},
		"rolled back where it was asked":  {simple("BEGIN", other, pathQuery, "ROLLBACK", pathQuery), true},
		"batch that fails":                {together(batch(other, "SELECT 1/0"), batch(pathQuery)), false},
		"batch that is refused":           {together(batch(other, "SET ROLE pg_monitor"), batch(pathQuery)), false},
		"query that fails":                {together(simple(other+"; SELECT 1/0"), simple(pathQuery)), false},
		"one text":                        {simple(other, public+"; "+pathQuery), false},
		"one text with a rollback":        {simple("BEGIN", other, "ROLLBACK; "+pathQuery), false},
		"one text with a reset":           {simple(other, "RESET ALL; "+pathQuery), false},
		"one text with a function":        {simple("SET search_path = other, public", "SELECT go_public(); "+pathQuery), false},
		"statement from before":           {together(simple(other), parsed(pathQuery), simple(public), bound()), false},
		"statement from before, to open":  {together(parsed(pathQuery), simple(other), bound()), true},
		"statement described before":      {together(simple(other), synced(&pgproto3.Parse{Name: "q", Query: "SELECT * FROM (SELECT email FROM people) p"}, &pgproto3.Describe{ObjectType: 'S', Name: "q"}), simple(public), bound()), false},
		"changed between bind and run":    {together(simple(other), parsed("COPY people (email) TO STDOUT"), bound(extended(public)...)), false},
		"EXECUTE bound before":            {together(simple(other, "PREPARE e AS "+pathQuery), parsed("EXECUTE e"), bound(extended(public)...)), false},
		"select bound before":             {together(simple(other), parsed(pathQuery), bound(extended(public)...)), true},
		"copies":                          {simple(other, "COPY people (email) TO STDOUT", public, "COPY people (email) TO STDOUT"), true},
		"copies of a query":               {simple(other, "COPY (SELECT email FROM people) TO STDOUT", public, "COPY (SELECT email || '' FROM people) TO STDOUT"), true},
		"function in a batch":             {batch("SET search_path = other, public", "SELECT go_public()", pathQuery), false},
		"function in a batch, then past":  {together(batch("SELECT go_other()"), batch(pathQuery)), true},
		"failed transaction and a commit": {simple("BEGIN", other, "SELECT 1/0", pathQuery, "COMMIT", pathQuery), false},
	}
}

func TestBypassBySearchPathInPipelines(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: maskedColumns(), setup: bypassSchema + pathSchema, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}})
		for name, b := range pathBursts() {
			t.Run(name, func(t *testing.T) {
				c := r.session(t)
				c.send(b.burst.messages...)
				got := strings.Join(c.until(b.burst.ready), "\n")
				if strings.Contains(got, "canary") || strings.Contains(got, "open@public.example") != b.open {
					t.Errorf("got\n%s", got)
				}
				c.send(&pgproto3.Query{String: "ROLLBACK"})
				c.until(1)
				c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
			})
		}
	})
}

// A layout that the server gave along another path does not count any more, where
// the origin of columns is told by it alone.
func TestBypassByLayoutOfAnotherPath(t *testing.T) {
	masks := []policy.Mask{{Table: "public.people", Column: "email", Method: mask.MethodRedact, Untraced: policy.MaskRefuse}}
	r := newRig(t, rigConfig{setup: forEveryVersion(bypassSchema) + pathSchema, policy: policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
		return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: masks}, nil
	})})
	c := r.session(t)
	run := pipeline(&pgproto3.Bind{PreparedStatement: "q"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	c.query("SET search_path = other", "SET", "ZI")
	c.send(&pgproto3.Parse{Name: "q", Query: "SELECT * FROM (SELECT id, email FROM people) p ORDER BY id"}, &pgproto3.Describe{ObjectType: 'S', Name: "q"}, &pgproto3.Sync{})
	c.until(1)
	c.send(run...)
	c.expect("BindComplete", "row 1,open@public.example", "SELECT 1", "ZI")
	c.query("SET search_path = public", "SET", "ZI")
	c.send(run...)
	if got := strings.Join(c.until(1), "\n"); strings.Contains(got, "canary") {
		t.Errorf("got\n%s", got)
	}
}
