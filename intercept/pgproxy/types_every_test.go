package pgproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy/secret"
)

func servers() map[string][]testserver.Option {
	return map[string][]testserver.Option{"15": nil, "18": {testserver.Version18()}}
}

// TestEveryTypeHasASpecimen asks the server for its types.
func TestEveryTypeHasASpecimen(t *testing.T) {
	for name, options := range servers() {
		t.Run(name, func(t *testing.T) {
			pg := testserver.Postgres(t, options...)
			pg.Exec(typeSetup)
			have := noValue()
			var types []string
			for _, s := range append(specimens(), aclitem(pg.User)) {
				types = append(types, "('"+s.typ+"'::regtype)")
			}
			for _, row := range pg.Query("SELECT typname FROM pg_type WHERE oid IN (VALUES " + strings.Join(types, ", ") + ")") {
				have = append(have, row[0])
			}
			// Pseudo-types can't be columns; the rows of the system's tables are composites.
			for _, row := range pg.Query("SELECT typname FROM pg_type WHERE typtype <> 'p' AND typrelid = 0 AND (typcategory <> 'A' OR typtype = 'd')") {
				if !slices.Contains(have, row[0]) {
					t.Errorf("no specimen of %s", row[0])
				}
			}
		})
	}
}

// aclitem names a role of the server, and has no binary form.
func aclitem(user string) specimen {
	return specimen{typ: "aclitem", value: "'" + user + "=r/" + user + "'::aclitem", null: true}
}

// TestRightsBecomeNull is about aclitem, which names roles of the server.
func TestRightsBecomeNull(t *testing.T) {
	r := newRig(t, rigConfig{policy: masking("public.rights.a:redact", "public.rights.l:redact")})
	item := aclitem(r.pg.User).value
	r.pg.Exec("CREATE TABLE rights (id int, a aclitem, l aclitem[]); INSERT INTO rights VALUES (1, " + item + ", ARRAY[" + item + "])")
	result := read(t, r.connect(t).PgConn(), "SELECT a, l, id FROM rights", 0)
	if row := result.Rows[0]; row[0] != nil || row[1] != nil || string(row[2]) != "1" {
		t.Errorf("got %q", row)
	}
}

// A zoo is tables of all specimens, a set for each method, and one without masks that
// takes masked values back.
type zoo struct {
	*rig
	columns []specimen
	direct  *pgconn.PgConn
}

// perTable bounds the columns of a table, whose row must fit a page.
const perTable = 50

// zooMethods are the methods by the names of their tables.
func zooMethods() []string {
	return []string{mask.MethodRedact, mask.MethodNull, mask.MethodHash, mask.MethodFake, mask.MethodPartial, mask.MethodEmail}
}

func newZoo(t *testing.T, options ...testserver.Option) *zoo {
	t.Helper()
	var rules []string
	for _, method := range zooMethods() {
		for i := range 20 {
			rules = append(rules, fmt.Sprintf("public.%s_%d.*:%s", method, i, method))
		}
	}
	z := &zoo{rig: newRig(t, rigConfig{policy: masking(rules...), setup: typeSetup, pg: options,
		proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}})}
	for _, s := range specimens() {
		if s.since <= z.pg.Major {
			z.columns = append(z.columns, s)
			z.columns = append(z.columns, s.arrays()...)
		}
	}
	conn, err := pgconn.Connect(t.Context(), z.pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	z.direct = conn
	var setup strings.Builder
	for _, table := range append(zooMethods(), "plain") {
		for i, columns := range z.tables() {
			var definitions, values []string
			for j, s := range columns {
				definitions = append(definitions, fmt.Sprintf("c%d %s", j, s.typ))
				values = append(values, s.value)
			}
			fmt.Fprintf(&setup, "CREATE TABLE %s_%d (%s); INSERT INTO %[1]s_%[2]d VALUES (%[4]s);\n", table, i, strings.Join(definitions, ", "), strings.Join(values, ", "))
		}
	}
	if _, err := z.direct.Exec(t.Context(), setup.String()).ReadAll(); err != nil {
		t.Fatalf("%v: %+v", err, err)
	}
	return z
}

func (z *zoo) tables() [][]specimen {
	return slices.Collect(slices.Chunk(z.columns, perTable))
}

// arrays are columns of arrays of the value: with NULLs, of two dimensions, with
// bounds, and of no elements.
func (s specimen) arrays() []specimen {
	if s.null || strings.Contains(s.value, "repeat(") {
		return nil // there are none, or they are too long
	}
	array := func(value string) specimen {
		return specimen{typ: s.typ + "[]", value: value, null: s.typ == "mails", since: s.since}
	}
	if s.typ == "mails" || s.typ == "quantity" { // no dimensions of their own, no NULLs
		return []specimen{array("ARRAY[" + s.value + "]::" + s.typ + "[]")}
	}
	return []specimen{
		array("ARRAY[" + s.value + ", NULL, " + s.value + "]::" + s.typ + "[]"), array("ARRAY[ARRAY[" + s.value + ", NULL], ARRAY[NULL, " + s.value + "]]::" + s.typ + "[]"),
		array("array_fill(" + s.value + ", ARRAY[2, 1], ARRAY[0, -3])"), array("'{}'::" + s.typ + "[]"),
	}
}

// TestEveryTypeIsMasked has every type's values masked by every method, in text and
// in binary, and the server take them back for columns of the same types.
func TestEveryTypeIsMasked(t *testing.T) {
	for name, options := range servers() {
		t.Run(name, func(t *testing.T) {
			z := newZoo(t, options...)
			conn, wire := z.connectWatched(t)
			for _, method := range zooMethods() {
				for i, columns := range z.tables() {
					z.mask(t, conn, method, i, columns)
					if method == mask.MethodRedact || method == mask.MethodNull { // which others become
						z.maskWhole(t, conn, method, i, columns)
					}
				}
				if bytes.Contains(wire.got, []byte("canary")) || bytes.Contains(wire.got, []byte("yranac")) {
					t.Errorf("%s leaked", method)
				}
				wire.forget()
			}
		})
	}
}

// mask reads a table in both formats and puts what it gets back.
func (z *zoo) mask(t *testing.T, conn *pgx.Conn, method string, table int, columns []specimen) {
	t.Helper()
	var back [2][][]byte
	for format := range int16(2) {
		got := read(t, conn.PgConn(), fmt.Sprintf("SELECT * FROM %s_%d", method, table), format)
		plain := read(t, z.direct, fmt.Sprintf("SELECT * FROM plain_%d", table), format)
		for j, s := range columns {
			value := got.Rows[0][j]
			if (value == nil) != (s.null || method == mask.MethodNull) {
				t.Errorf("%s, format %d: %s %s became NULL: %v", method, format, s.typ, s.value, value == nil)
			}
			if value != nil && bytes.Equal(value, plain.Rows[0][j]) && !s.isEmpty() {
				t.Errorf("%s, format %d: %s %s stayed as it is", method, format, s.typ, s.value)
			}
		}
		back[format] = z.takeBack(t, method, table, columns, got, format)
	}
	z.compare(t, method, columns, back)
}

// maskWhole has the values computed: what they are, and whether they are NULL, must
// not show.
func (z *zoo) maskWhole(t *testing.T, conn *pgx.Conn, method string, table int, columns []specimen) {
	t.Helper()
	var back [2][][]byte
	for format := range int16(2) {
		computed, none := computing(columns, "random() >= 0"), computing(columns, "random() < 0")
		got := read(t, conn.PgConn(), fmt.Sprintf("SELECT %s FROM %s_%d", computed, method, table), format)
		nulls := read(t, conn.PgConn(), fmt.Sprintf("SELECT %s FROM %s_%d", none, method, table), format)
		for j, s := range columns {
			value := got.Rows[0][j]
			if (value == nil) != (s.nullWhole() || method == mask.MethodNull) {
				t.Errorf("%s, whole, format %d: %s %s became NULL: %v", method, format, s.typ, s.value, value == nil)
			}
			if null := nulls.Rows[0][j]; (value == nil) != (null == nil) || !bytes.Equal(value, null) {
				t.Errorf("%s, whole, format %d: %s %s became %q, and NULL %q", method, format, s.typ, s.value, value, null)
			}
		}
		back[format] = z.takeBack(t, method+", whole", table, columns, got, format)
	}
	z.compare(t, method+", whole", columns, back)
}

// nullWhole says that a value becomes NULL where it is masked whole: where the type
// does, and where it is one of rows.
func (s specimen) nullWhole() bool {
	return s.null || slices.Contains([]string{"pair", "boxed", "one", "deep"}, s.typ)
}

// computing are expressions of a table's columns, NULL unless the condition holds.
func computing(columns []specimen, condition string) string {
	list := make([]string, len(columns))
	for i := range columns {
		list[i] = fmt.Sprintf("(SELECT c%d WHERE %s)", i, condition)
	}
	return strings.Join(list, ", ")
}

// compare wants the same of both formats.
func (z *zoo) compare(t *testing.T, how string, columns []specimen, back [2][][]byte) {
	t.Helper()
	for j, s := range columns {
		if !bytes.Equal(back[0][j], back[1][j]) {
			t.Errorf("%s: %s %s is %q in text, and %q in binary", how, s.typ, s.value, back[0][j], back[1][j])
		}
	}
}

// TestEveryTypeIsMaskedInEveryStyle changes how values are written: what is masked in
// text is read back under the same settings.
func TestEveryTypeIsMaskedInEveryStyle(t *testing.T) {
	styles := [][]string{
		{"DateStyle = 'ISO, DMY'", "DateStyle = 'SQL, DMY'", "DateStyle = 'SQL, MDY'", "DateStyle = 'Postgres, MDY'", "DateStyle = 'German, YMD'", "DateStyle = 'Postgres, DMY'"},
		{"IntervalStyle = postgres", "IntervalStyle = postgres_verbose", "IntervalStyle = sql_standard", "IntervalStyle = iso_8601"},
		{"bytea_output = hex", "bytea_output = escape"},
		{"TimeZone = 'UTC'", "TimeZone = 'Asia/Kolkata'", "TimeZone = 'America/St_Johns'", "TimeZone = 'Africa/Monrovia'", "TimeZone = '<odd>-03:15'"},
		{"extra_float_digits = -15", "extra_float_digits = 0", "extra_float_digits = 3"},
		{"xmloption = content", "xmloption = document"},
		{"lc_monetary = 'C'", "lc_monetary = 'C.UTF-8'"},
	}
	z := newZoo(t)
	conn, wire := z.connectWatched(t)
	for round := range 12 { // each setting with most of the others
		var settings []string
		for i, choices := range styles {
			settings = append(settings, "SET "+choices[(round+round/2*i)%len(choices)])
		}
		set := strings.Join(settings, "; ")
		z.exec(t, set)
		if _, err := runSimple(t.Context(), conn, set); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{mask.MethodRedact, mask.MethodFake}[round%2:][:1] {
			for i, columns := range z.tables() {
				got := read(t, conn.PgConn(), fmt.Sprintf("SELECT * FROM %s_%d", method, i), 0)
				z.takeBack(t, method+", "+set, i, columns, got, 0)
			}
		}
		if bytes.Contains(wire.take(), []byte("canary")) {
			t.Errorf("%s leaked", set)
		}
	}
}

// isEmpty says that there is nothing in a value that a mask would change.
func (s specimen) isEmpty() bool {
	return slices.ContainsFunc([]string{"'{}'", "'[]'", "'(,)'"}, func(empty string) bool { return strings.Contains(s.value, empty) })
}

func read(t *testing.T, conn *pgconn.PgConn, sql string, format int16) *pgconn.Result {
	t.Helper()
	result := conn.ExecParams(t.Context(), sql, nil, nil, nil, []int16{format}).Read()
	if result.Err != nil || len(result.Rows) != 1 {
		t.Fatalf("%s: %d rows, %v", sql, len(result.Rows), result.Err)
	}
	return result
}

// takeBack has the server store masked values, and returns them as it writes them. A
// driver has to understand them, too.
func (z *zoo) takeBack(t *testing.T, how string, table int, columns []specimen, got *pgconn.Result, format int16) [][]byte {
	t.Helper()
	values := got.Rows[0]
	if strings.HasPrefix(how, mask.MethodNull) {
		return make([][]byte, len(values)) // a domain may refuse them
	}
	formats := slices.Repeat([]int16{format}, len(values))
	parameters := make([]string, len(values))
	z.exec(t, fmt.Sprintf("BEGIN; DELETE FROM plain_%d", table))
	defer z.exec(t, "ROLLBACK")
	for i := range values {
		driverReads(t, got.FieldDescriptions[i], values[i])
		if strings.HasPrefix(columns[i].typ, "information_schema.yes_or_no") {
			values[i] = nil // a domain's CHECK may refuse what is valid for its base type
		}
		parameters[i] = fmt.Sprintf("$%d", i+1)
	}
	sql := fmt.Sprintf("INSERT INTO plain_%d VALUES (%s)", table, strings.Join(parameters, ", "))
	if _, err := z.direct.ExecParams(t.Context(), sql, values, nil, formats, nil).Close(); err == nil {
		return read(t, z.direct, fmt.Sprintf("SELECT * FROM plain_%d", table), 0).Rows[0]
	}
	for i := range values { // which is it?
		z.exec(t, "ROLLBACK; BEGIN")
		sql := fmt.Sprintf("INSERT INTO plain_%d (c%d) VALUES ($1)", table, i)
		if _, err := z.direct.ExecParams(t.Context(), sql, values[i:i+1], nil, formats[:1], nil).Close(); err != nil {
			t.Errorf("%s, format %d: %s %s became %q, and the server: %v", how, format, columns[i].typ, columns[i].value, values[i], err)
		}
	}
	return make([][]byte, len(values))
}

func (z *zoo) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := z.direct.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// driverReads has a stock driver decode a value of a type that it knows.
func driverReads(t *testing.T, d pgconn.FieldDescription, value []byte) {
	t.Helper()
	types := pgtype.NewMap()
	if typ, ok := types.TypeForOID(d.DataTypeOID); ok && value != nil {
		if _, err := typ.Codec.DecodeValue(types, d.DataTypeOID, d.Format, value); err != nil {
			t.Errorf("pgx can't read %q as %s in format %d: %v", value, typ.Name, d.Format, err)
		}
	}
}
