package pgproxy

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// answersForTests is what a server with these relations answers: people with a
// child and a view of a view, a table with a rule, and code in public.
func answersForTests() []table {
	return []table{
		{{`"$user", public`, "pg_catalog, pg_temp"}},
		{{"1", "public", "people", "r"}, {"2", "public", "vips", "r"}, {"3", "public", "v", "v"}, {"4", "public", "w", "v"}, {"5", "public", "orders", "r"}, {"6", "public", "inbox", "r"}, {"7", "public", "code", "v"}, {"8", "pg_catalog", "pg_settings", "v"}},
		{{"1", "1", "id"}, {"1", "2", "email"}, {"1", "3", "copy"}, {"2", "1", "id"}, {"2", "2", "email"}, {"3", "1", "email"}, {"4", "1", "x"}, {"5", "1", "id"}, {"5", "2", "........pg.dropped.2........"}, {"5", "3", "item"}, {"99", "1", "gone"}},
		{{"2", "1"}, {"2", "98"}},
		{{"3", "1"}, {"4", "3"}, {"4", "4"}, {"97", "1"}},
		{{"7", "public.store"}, {"7", ""}, {"97", "x"}},
		{{"6"}, {"8"}, {"97"}},
		{{"1", "3", "2"}, {"97", "1", "2"}},
		{{"public", "store", "v", "f", "f", "t", "16500", "25", "23"}, {"public", "Lower", "s", "t", "f", "f", "16501", "23 16400", "25"}, {"public", "upper", "i", "t", "f", "f", "16502", "23", "25"}, {"public", "similarity", "v", "f", "t", "f", "16503", "25 25", "700"}},
		{{"<~>", "f"}, {"<+>", "t"}},
		{{"3", "SELECT email FROM public.people"}, {"4", "SELECT v.email AS x FROM public.v"}, {"97", "SELECT 1"}},
		{{"now", "s", "1299", "pg_catalog", "", "1184"}, {"random", "v", "1598", "pg_catalog", "", "701"}, {"lower", "i", "870", "pg_catalog", "25", "25"}},
		{{"25", "text"}, {"23", "integer"}},
		{{"1", "23", "-1"}, {"50", "16400", "-1"}, {"50", "16402", "-1"}, {"50", "600000", "-1"}},
		{
			{"16400", "d", "1043", "9", "0", "0", "", "f"}, {"16401", "e", "0", "-1", "0", "0", "lo", "f"}, {"16402", "b", "0", "-1", "16401", "0", "", "f"},
			{"16403", "c", "0", "-1", "0", "50", "", "f"}, {"16404", "r", "0", "-1", "0", "0", "", "f"}, {"16405", "m", "0", "-1", "0", "0", "", "f"},
			{"16406", "b", "0", "-1", "0", "0", "", "t"}, {"16407", "b", "0", "-1", "0", "0", "", "f"}, {"16408", "b", "0", "-1", "16407", "0", "", "f"},
			{"16409", "d", "1007", "-1", "0", "0", "", "f"}, {"16410", "b", "0", "-1", "16409", "0", "", "f"}, {"16411", "d", "16411", "-1", "0", "0", "", "f"},
			{"16412", "c", "0", "-1", "0", "99", "", "f"},
		},
		{{"5", "3 0"}, {"97", "1"}},
		{{"public", "address", "1", "2"}, {"public", "address", "1", "3"}, {"other", "address", "2", "2"}, {"public", "address", "97", "1"}, {"public", "address", "5", "9"}},
		{{"16600", "i", "f", "target", "pg_catalog", "point", "0", "public.spot"}, {"16600", "i", "f", "source", "public", "vips", "2", "public.spot"}},
		{{"pg_catalog"}, {"agent"}, {"public"}, {"other"}}, {{"agent", "origin"}},
	}
}

func analyzeForTests(sql string) (*sqlfacts.Query, error) {
	a, err := sqlfacts.New(sqlfacts.Config{})
	if err != nil {
		return nil, err
	}
	return a.Analyze(sql)
}

func catalogueForTests(t *testing.T) *catalogue {
	t.Helper()
	c, err := buildCatalogue(answersForTests(), time.Unix(1, 0), analyzeForTests)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTypesOfUsers(t *testing.T) {
	types := catalogueForTests(t).types
	for oid, want := range map[uint32]mask.Type{
		23:    {Kind: mask.KindInt4},
		16400: {Kind: mask.KindText, Limit: 5},
		16404: {Kind: mask.KindRange},
		16405: {Kind: mask.KindMultirange},
		16406: {Kind: mask.KindText},
		16407: {},                                              // of an extension, in a form of its own
		16408: {},                                              // an array of it
		16409: {Kind: mask.KindInt4, Array: true, Element: 23}, // a domain over an array
		16410: {},                                              // an array of that
		16411: {},                                              // a domain over itself
		16412: {},                                              // a composite without known fields
		99999: {},
	} {
		if got := types.of(oid, -1); got != want {
			t.Errorf("%d: %+v, want %+v", oid, got, want)
		}
	}
	if enum := types.of(16402, -1); enum.Kind != mask.KindEnum || !enum.Array || enum.Element != 16401 || enum.Shape.Label != "lo" {
		t.Errorf("array of an enum: %+v", enum)
	}
	row := types.of(16403, -1)
	if row.Kind != mask.KindComposite || len(row.Shape.Fields) != 3 {
		t.Fatalf("composite: %+v", row)
	}
	if f := row.Shape.Fields; f[0].Limit != 5 || f[1].Kind != mask.KindEnum || !f[1].Array || f[2] != (mask.Type{}) {
		t.Errorf("fields: %+v", f)
	}
}

func TestCatalogueIsBuilt(t *testing.T) {
	c := catalogueForTests(t)
	people, vips, v, w := c.byOID[1], c.byOID[2], c.byOID[3], c.byOID[4]
	if !slices.Contains(people.family, vips) || !slices.Contains(vips.family, people) {
		t.Error("the child does not share rows with its parent")
	}
	if !slices.Equal(w.reads, []*relation{v, people}) {
		t.Errorf("the view of a view reads %v", w.reads)
	}
	if code := c.byOID[7]; !code.blind || !slices.Equal(code.runs, []string{"public.store"}) {
		t.Errorf("the view over code: %+v", code)
	}
	if !c.byOID[6].rewritten || people.rewritten {
		t.Error("rules are not where they are")
	}
	if !people.computed("copy") || people.computed("email") {
		t.Error("generated columns are not where they are")
	}
	if c.functions["upper"].shadows || !c.functions["lower"].shadows || !c.functions["public.store"].volatile {
		t.Errorf("functions: %v", c.functions)
	}
	if f, known := c.functions["similarity"]; !known || f.volatile {
		t.Error("a function of an extension is not known, or taken for one that users made")
	}
	if got := c.byOID[5].partitionKey; !slices.Equal(got, []string{"item", "*"}) {
		t.Errorf("partitioned by %q", got)
	}
	if got := c.withPath(c.start).domainNamed(sqlfacts.Relation{Name: "address"}); len(got) != 1 || got[0].relation != people || !slices.Equal(got[0].filtered, []string{"email", "copy"}) {
		t.Errorf("the domain is that of %+v", got)
	}
	if got := c.domainNamed(sqlfacts.Relation{Schema: "other", Name: "address"}); len(got) != 1 || got[0].relation != c.byOID[2] {
		t.Errorf("the domain of the other schema is that of %+v", got)
	}
	if got := c.byOID[5].columnAt(2); got != "item" {
		t.Errorf("the second column is %q", got)
	}
}

func TestProceduresOfTheCatalogue(t *testing.T) {
	c := catalogueForTests(t)
	for oid, want := range map[uint32][2]string{
		870:   {"SELECT pg_catalog.lower($1)", "SELECT pg_catalog.lower($1::text)"},
		1299:  {"SELECT pg_catalog.now($1)", "SELECT pg_catalog.now($1)"},
		16501: {`SELECT public."Lower"($1)`, `SELECT public."Lower"($1::integer)`},
	} {
		p := c.procedures[oid]
		if got := [2]string{p.selected(1), c.selectedTyped(p, 1)}; got != want {
			t.Errorf("%d: got %q, want %q", oid, got, want)
		}
	}
	if got := c.selectedTyped(c.procedures[16501], 3); got != `SELECT public."Lower"($1::integer, $2, $3)` {
		t.Errorf("a type without a name, and an argument too many: %s", got)
	}
	added := procedure{schema: "pg_catalog", name: `a"b`, own: true}
	if got := added.selected(0); got != `SELECT "a""b"()` {
		t.Errorf("what was added to pg_catalog: %s", got)
	}
	if c.procedures[noFunction] != nil {
		t.Error("something has the OID that nothing has")
	}
}

func TestCatalogueRefusesMalformedAnswers(t *testing.T) {
	for i := range answersForTests()[:17] {
		for _, row := range [][]string{{}, {"x"}, {"1", "2", "3", "4", "5", "6", "7"}} {
			if i == 0 {
				continue // texts of any kind
			}
			answers := answersForTests()
			answers[i] = table{row}
			if _, err := buildCatalogue(answers, time.Time{}, analyzeForTests); err == nil {
				t.Errorf("query %d: no error for %q", i, row)
			}
		}
	}
	if _, err := buildCatalogue(nil, time.Time{}, analyzeForTests); err == nil {
		t.Error("no error for no answers")
	}
}

// An answer that began before the last change is out of date when it comes.
func TestShelfSeesChangesDuringALoad(t *testing.T) {
	s, now := &shelf{alterations: new(alterations)}, time.Unix(100, 0)
	if !s.due(now, time.Hour) || !s.outdated() {
		t.Error("an empty shelf is not due")
	}
	seen := s.begin()
	s.changes.Add(1)
	s.put(&catalogue{contents: &contents{loaded: now}}, seen)
	if !s.due(now, time.Hour) || !s.outdated() {
		t.Error("a change during the load went unnoticed")
	}
	s.put(&catalogue{contents: &contents{loaded: now}}, s.begin())
	if s.due(now, time.Hour) || s.outdated() {
		t.Error("a fresh catalogue is due")
	}
	if !s.due(now.Add(2*time.Hour), time.Hour) {
		t.Error("an old catalogue is not due")
	}
	s.stale.Store(true)
	if s.due(now, time.Hour) || !s.due(now.Add(2*minRefresh), time.Hour) {
		t.Error("unknown names are not looked up at their pace")
	}
}

func resolveForTests(t *testing.T, sql string) *resolved {
	t.Helper()
	analyzer, err := sqlfacts.New(sqlfacts.Config{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := analyzer.Analyze(sql)
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) *traced { return nil }
	c := catalogueForTests(t)
	return c.withPath(c.start).resolve(q, meaning{statement: none, cursor: none})
}

func rulesForTests(t *testing.T) *ruleset {
	t.Helper()
	set, err := mask.NewSet(mask.Config{})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := (&rulesets{set: set}).compile([]policy.Mask{{Table: "public.people", Column: "email", Method: mask.MethodRedact}})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestStatementsNearMasks(t *testing.T) {
	rules := rulesForTests(t)
	for sql, want := range map[string]struct{ sensitive, refused bool }{
		"SELECT id FROM orders":                                      {},
		"SELECT id FROM people":                                      {sensitive: true},
		"SELECT * FROM w":                                            {sensitive: true},
		"SELECT * FROM vips":                                         {sensitive: true},
		"SELECT * FROM nowhere":                                      {sensitive: true},
		"SELECT * FROM code":                                         {sensitive: true},
		"SELECT lower('X')":                                          {sensitive: true},
		"SELECT pg_catalog.lower('X'), upper('x')":                   {},
		"SELECT 1 <~> 2":                                             {sensitive: true},
		"SELECT pg_read_file('x')":                                   {sensitive: true},
		"DELETE FROM people WHERE id = 1":                            {sensitive: true},
		"CREATE INDEX ON people (id)":                                {sensitive: true},
		"INSERT INTO orders SELECT id FROM people":                   {sensitive: true},
		"INSERT INTO orders SELECT email FROM people":                {sensitive: true, refused: true},
		"INSERT INTO orders SELECT copy FROM people":                 {sensitive: true, refused: true},
		"SELECT store(id) FROM people":                               {sensitive: true},
		"SELECT store(email) FROM people":                            {sensitive: true, refused: true},
		"SELECT 1 FROM people WHERE pg_advisory_lock(email) IS NULL": {sensitive: true, refused: true},
		"ALTER TABLE people RENAME COLUMN id TO x":                   {sensitive: true, refused: true},
		"ALTER TABLE orders RENAME COLUMN id TO x":                   {},
		"ALTER SCHEMA public RENAME TO x":                            {refused: true},
		"INSERT INTO inbox VALUES (1)":                               {refused: true},
		"ALTER TABLE orders RENAME TO x; SELECT id FROM orders":      {sensitive: true},
		"PREPARE p AS INSERT INTO orders TABLE people; EXECUTE p":    {sensitive: true, refused: true},
		"PREPARE p AS SELECT id FROM orders; EXPLAIN EXECUTE p":      {},
		"EXPLAIN ANALYZE EXECUTE unseen":                             {sensitive: true, refused: true},
	} {
		r := resolveForTests(t, sql)
		refused := r.smuggles(rules, false) != nil
		if got := r.sensitive(rules); got != want.sensitive || refused != want.refused {
			t.Errorf("%s: sensitive %v, refused %v, want %v", sql, got, refused, want)
		}
	}
}

func TestPolicySeesBehindViews(t *testing.T) {
	for sql, want := range map[string]policy.Effect{
		"SELECT * FROM w":              {Verb: policy.VerbRead, Kind: "table", Name: "public.people", Columns: []string{"email"}},
		"UPDATE v SET email = ''":      {Verb: policy.VerbUpdate, Kind: "table", Name: "public.people", Columns: []string{"*"}},
		"SELECT 1 FROM code":           {Verb: policy.VerbExecute, Kind: "function", Name: "public.store"},
		"SELECT 1 <~> 2":               {Verb: policy.VerbExecute, Kind: "function", Name: "<~>"},
		"SELECT lower('x')":            {Verb: policy.VerbExecute, Kind: "function", Name: "lower"},
		"DROP VIEW v":                  {Verb: policy.VerbDefine, Kind: "view", Name: "public.v"},
		"CREATE VIEW fresh AS TABLE v": {Verb: policy.VerbDefine, Kind: "view", Name: "agent.fresh"},
	} {
		effects := resolveForTests(t, sql).facts.Effects
		if !slices.ContainsFunc(effects, func(e policy.Effect) bool {
			return e.Verb == want.Verb && e.Kind == want.Kind && e.Name == want.Name && slices.Equal(e.Columns, want.Columns)
		}) {
			t.Errorf("%s: %+v lacks %+v", sql, effects, want)
		}
	}
}

func TestSettingsThatMayChange(t *testing.T) {
	for sql, carried := range map[string]bool{
		"SET standard_conforming_strings = on": true, "SET standard_conforming_strings = off": false, "SET search_path = x": true, "SELECT set_config('search_path', 'x', true)": true, "SET SCHEMA 'x'": true,
		"RESET search_path": true, "SET client_encoding = 'utf-8'": true, "SET NAMES 'latin1'": false, "SET work_mem = '1MB'": true,
		"UPDATE pg_settings SET setting = 'x'": false, "SELECT * FROM pg_settings": true, "COPY orders TO STDOUT": true,
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = x AS 'SELECT 1'": true, "ALTER ROLE agent SET search_path = x": false,
		"SELECT set_config('a.b', email, false) FROM people": false, "SELECT set_config('a.b', 'x', false)": true,
	} {
		if got := resolveForTests(t, sql).refusal == nil; got != carried {
			t.Errorf("%s: carried %v", sql, got)
		}
	}
}

// While one session refreshes an aged catalogue the others work with it; one that
// is known to be wrong is loaded by one after the other, once.
func TestCatalogueIsLoadedOnce(t *testing.T) {
	s := (&catalogues{}).shelf("app", "a")
	first, err := s.turn(t.Context(), time.Hour)
	if first == nil || err != nil {
		t.Fatalf("an empty shelf: %v", err)
	}
	type outcome struct {
		done func()
		err  error
	}
	second := make(chan outcome, 1)
	go func() {
		done, err := s.turn(t.Context(), time.Hour)
		second <- outcome{done, err}
	}()
	s.put(&catalogue{contents: &contents{loaded: time.Now()}}, s.begin())
	first()
	if got := <-second; got.done != nil || got.err != nil {
		t.Errorf("loaded twice: %v", got.err)
	}
	refresh, _ := s.turn(t.Context(), 1)
	other, err := s.turn(t.Context(), 1)
	if refresh == nil || other != nil || err != nil {
		t.Errorf("two sessions refresh: %v", err)
	}
	refresh()
	if again, _ := s.turn(t.Context(), 1); again == nil {
		t.Error("nobody refreshes any more")
	}
	if !s.refresh.take(time.Now().Add(maxTurn)) {
		t.Error("a session that hangs keeps its turn")
	}
	s.changes.Add(1) // known to be wrong: nobody waits for a turn that began before
	changed, err := s.turn(t.Context(), time.Hour)
	if changed == nil || err != nil {
		t.Fatalf("a wrong catalogue is kept: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if done, err := s.turn(ctx, time.Hour); done != nil || err == nil {
		t.Error("a wait that was cancelled goes on")
	}
	changed()
}

// What one server has another may not have: each has its catalogue, and what a user
// changes on one makes those of the others be loaded again.
func TestCatalogueOfEachServer(t *testing.T) {
	c := new(catalogues)
	one, other, stranger := c.shelf("app", "a:1"), c.shelf("app", "b:1"), c.shelf("other", "a:1")
	if one == other || one == stranger || c.shelf("app", "a:1") != one {
		t.Fatal("shelves are mixed up")
	}
	one.changing.Add(1)
	one.changes.Add(1)
	if !other.inChange() || other.changes.Load() != 1 || stranger.inChange() || stranger.changes.Load() != 0 {
		t.Error("changes are noted elsewhere than for the user who made them")
	}
	for i := range 3 * maxShelfServers {
		c.shelf("app", strconv.Itoa(i))
	}
	if n := len(c.users["app"].shelves); n > maxShelfServers {
		t.Errorf("%d servers are kept", n)
	}
	if c.shelf("app", "c:1").changes.Load() != 1 {
		t.Error("the changes are forgotten")
	}
	for i := range 2 * maxShelfUsers {
		c.shelf(strconv.Itoa(i), "a:1")
	}
	if len(c.users) > maxShelfUsers {
		t.Errorf("%d users are kept", len(c.users))
	}
}
