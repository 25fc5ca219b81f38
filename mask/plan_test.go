package mask_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// column is a traced column of the table s.t.
func column(typ mask.Type, name string) mask.Column {
	return mask.Column{
		Sources: []mask.Source{{Schema: "s", Table: "t", Column: name}}, Traced: true, Type: typ,
	}
}

// dataRow encodes the body of a DataRow; nil is NULL.
func dataRow(fields ...[]byte) []byte {
	row := binary.BigEndian.AppendUint16(nil, uint16(len(fields)))
	for _, f := range fields {
		if f == nil {
			row = append(row, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		row = binary.BigEndian.AppendUint32(row, uint32(len(f)))
		row = append(row, f...)
	}
	return row
}

func texts(fields ...string) [][]byte {
	out := make([][]byte, 0, len(fields))
	for _, f := range fields {
		out = append(out, []byte(f))
	}
	return out
}

func TestColumnMethods(t *testing.T) {
	rules := compileRules(t,
		policy.Mask{Table: "s.t", Column: "p", Method: "partial", Keep: 4},
		policy.Mask{Table: "s.t", Column: "n", Method: "null"},
		policy.Mask{Table: "s.t", Column: "h", Method: "hash"},
		policy.Mask{Table: "s.t", Column: "o", Method: "own"})
	derived := func(c mask.Column) mask.Column { c.Derived = true; return c }
	several := column(text(0), "p")
	several.Sources = append(several.Sources, mask.Source{Schema: "s", Table: "t", Column: "h"})
	half := column(text(0), "n")
	half.Traced = false
	for name, c := range map[string]struct {
		column mask.Column
		want   string
	}{
		"no rule":                {column(text(0), "x"), ""},
		"constant":               {mask.Column{Traced: true, Type: text(0)}, ""},
		"zero column":            {mask.Column{}, "null"},
		"untraceable":            {mask.Column{Type: text(0)}, "redact"},
		"untraceable, known too": {half, "null"},
		"as it is":               {column(text(0), "p"), "partial"},
		"derived partial":        {derived(column(text(0), "p")), "redact"},
		"derived hash":           {derived(column(text(0), "h")), "redact"},
		"derived own":            {derived(column(text(0), "o")), "redact"},
		"derived null":           {derived(column(text(0), "n")), "null"},
		"derived, no rule":       {derived(column(text(0), "x")), ""},
		"several sources":        {several, "hash"},
		"whole row":              {column(text(0), ""), "null"},
		"unknown type":           {column(mask.TypeOID(16_400, -1), "p"), "null"},
		"unknown type, no rule":  {column(mask.TypeOID(16_400, -1), "x"), ""},
	} {
		p := compile(t, rules, c.column)
		if got := p.Method(0); got != c.want || p.Empty() != (c.want == "") {
			t.Errorf("%s: %q, empty %v; want %q", name, got, p.Empty(), c.want)
		}
	}
}

func TestNoRulesPassAll(t *testing.T) {
	if p := compile(t, compileRules(t), mask.Column{}, column(text(0), "c")); !p.Empty() {
		t.Error("a plan without rules is not empty")
	}
}

func TestCompileRefusesFormat(t *testing.T) {
	c := column(text(0), "c")
	c.Format = 2
	if p, err := mask.Compile(compileRules(t), []mask.Column{c}); p != nil || !errors.Is(err, mask.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestRow(t *testing.T) {
	plan := rowPlan(t)
	row := dataRow([]byte("a"), []byte("secret"), nil, []byte("b"), []byte("gone"), []byte("c"))
	want := "prefix" + string(dataRow([]byte("a"), []byte("[redacted]"), nil, []byte("b"), nil, []byte("c")))
	given := slices.Clone(row)
	got, err := plan.Row([]byte("prefix"), row)
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if !slices.Equal(row, given) {
		t.Error("the row given was changed")
	}
	empty := dataRow(texts("", "", "", "", "", "")...)
	want = string(dataRow([]byte(""), []byte("[redacted]"), []byte("[redacted]"), []byte(""), nil, []byte("")))
	if got, err := plan.Row(nil, empty); err != nil || string(got) != want {
		t.Errorf("empty values: %q, %v; want %q", got, err, want)
	}
}

// rowPlan redacts the second and third of six columns and nulls the fifth.
func rowPlan(t testing.TB) *mask.Plan {
	t.Helper()
	rules := compileRules(t,
		policy.Mask{Table: "s.t", Column: "r", Method: "redact"}, policy.Mask{Table: "s.t", Column: "n", Method: "null"})
	return compile(t, rules, column(text(0), "a"), column(text(0), "r"), column(text(0), "r"),
		column(text(0), "b"), column(text(0), "n"), column(text(0), "c"))
}

func TestMalformedRows(t *testing.T) {
	good := dataRow(texts("a", "b", "c", "d", "e", "f")...)
	length := func(at int, n uint32) []byte {
		b := slices.Clone(good)
		binary.BigEndian.PutUint32(b[at:], n)
		return b
	}
	rows := map[string][]byte{
		"nil": nil, "one byte": {0}, "no fields": {0, 0}, "too few": dataRow(texts("a")...),
		"too many": dataRow(texts("a", "b", "c", "d", "e", "f", "g")...), "more bytes": append(slices.Clone(good), 0),
		"length -2": length(7, 0xfffffffe), "length of 2 GiB": length(7, 0x7fffffff),
		"too long by one": length(len(good)-5, 2), "too short by one": length(len(good)-5, 0),
	}
	for i := range good {
		rows["cut at "+strings.Repeat("i", i)] = good[:i]
	}
	plan := rowPlan(t)
	for name, row := range rows {
		out, err := plan.Row([]byte("prefix"), row)
		if !errors.Is(err, mask.ErrMalformed) || string(out) != "prefix" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestZeroPlanRefuses(t *testing.T) {
	var none *mask.Plan
	for _, p := range []*mask.Plan{none, {}} {
		if _, err := p.Row(nil, dataRow([]byte("a"))); !errors.Is(err, mask.ErrMalformed) {
			t.Errorf("row: %v", err)
		}
		if out, null := p.Value(nil, 0, []byte("a")); !null || len(out) > 0 {
			t.Errorf("value: %q, %v", out, null)
		}
		if p.Method(0) != mask.MethodNull || p.Columns() != 0 {
			t.Errorf("method %q, %d columns", p.Method(0), p.Columns())
		}
	}
	if none.Empty() {
		t.Error("a nil plan lets rows pass")
	}
}

// TestErrorsBecomeNull: whatever a method does, its value does not get through.
func TestErrorsBecomeNull(t *testing.T) {
	for name, f := range map[string]mask.MethodFunc{
		"error after output": func(dst []byte, v mask.Value) ([]byte, error) {
			return append(dst, v.Bytes...), errors.New("down")
		},
		"panic":         func([]byte, mask.Value) ([]byte, error) { panic("out of order") },
		"invalid value": func(dst []byte, _ mask.Value) ([]byte, error) { return append(dst, "\xff"...), nil },
	} {
		rules, err := newSet(t, map[string]mask.Method{"own": f}).Rules(
			[]policy.Mask{{Table: "s.t", Column: "c", Method: "own"}})
		if err != nil {
			t.Fatal(err)
		}
		plan := compile(t, rules, column(text(0), "a"), column(text(0), "c"))
		got, err := plan.Row(nil, dataRow(texts("a", "secret")...))
		if want := string(dataRow([]byte("a"), nil)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestBigCell(t *testing.T) {
	cell := []byte(strings.Repeat("x", 20<<20-1) + "y")
	for _, name := range builtins() {
		plan := sampleCompile(t, name, mask.Value{Type: text(0)})
		got, err := plan.Row(nil, dataRow(cell))
		if err != nil || len(got) > 2+4+100 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestPlanIsShared masks with one plan in several goroutines (run with -race).
func TestPlanIsShared(t *testing.T) {
	plan, row := benchColumns(t, mask.MethodFake, 4)
	want, err := plan.Row(nil, row)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if got, err := plan.Row(nil, row); err != nil || !slices.Equal(got, want) {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
			}
		})
	}
	wg.Wait()
}
