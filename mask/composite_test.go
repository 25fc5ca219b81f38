package mask_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// address is a composite of a text, a number, an enum, an array, another composite
// and something that can't be forged.
func address() mask.Type {
	inner := mask.Type{Kind: mask.KindComposite, Shape: &mask.Shape{Fields: []mask.Type{{Kind: mask.KindText}, {Kind: mask.KindBool}}}}
	return mask.Type{Kind: mask.KindComposite, Shape: &mask.Shape{Fields: []mask.Type{
		{Kind: mask.KindText}, {Kind: mask.KindInt4}, {Kind: mask.KindEnum, Shape: &mask.Shape{Label: "lo"}},
		{Kind: mask.KindText, Array: true, Element: 25}, inner, {},
	}}}
}

func compositeBinary(fields ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(fields)))
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, 25)
		if f == nil {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
	}
	return b
}

func TestCompositesAreMaskedByFields(t *testing.T) {
	for _, c := range []struct{ method, in, want string }{
		{mask.MethodRedact, `(ann,7,hi,"{a,""b c""}","(""x,y"",t)",z)`, `("[redacted]","0","lo","{""[redacted]"",""[redacted]""}","(""[redacted]"",""f"")",)`},
		{mask.MethodRedact, `(,,,,,)`, `(,,,,,)`},
		{mask.MethodRedact, `("",1,hi,{},"(,)",)`, `("[redacted]","0","lo","{}","(,)",)`},
		{mask.MethodPartial, `("a ""b\\ (,)xyz",1,hi,{},"(,)",)`, `("**********yz","0","lo","{}","(,)",)`},
		{mask.MethodPartial, `(abc\,de"f ""g",1,hi,{},"(,)",)`, `("********""g","0","lo","{}","(,)",)`},
	} {
		plan := sampleCompile(t, c.method, mask.Value{Type: address()})
		if out, null := plan.Value(nil, 0, []byte(c.in)); string(out) != c.want || null {
			t.Errorf("%s of %s: got %s, %v, want %s", c.method, c.in, out, null, c.want)
		}
	}
	for _, in := range []string{"", "(", "()", "(a)", "(,,,,,", "(,,,,,,)", "(,,,,,)x", `("a,,,,,)`, `(\`, `(a(,,,,,)`, ",,,,,)"} {
		plan := sampleCompile(t, mask.MethodRedact, mask.Value{Type: address()})
		if out, null := plan.Value(nil, 0, []byte(in)); !null || len(out) != 0 {
			t.Errorf("%s: got %s", in, out)
		}
	}
}

func TestCompositesInBinary(t *testing.T) {
	plan := sampleCompile(t, mask.MethodRedact, mask.Value{Type: address(), Format: mask.Binary})
	inner := compositeBinary([]byte("x"), []byte{1})
	in := compositeBinary([]byte("ann"), []byte{0, 0, 0, 7}, []byte("hi"), nil, inner, []byte("z"))
	want := compositeBinary([]byte("[redacted]"), []byte{0, 0, 0, 0}, []byte("lo"), nil, compositeBinary([]byte("[redacted]"), []byte{0}), nil)
	if out, null := plan.Value(nil, 0, in); null || !bytes.Equal(out, want) {
		t.Errorf("got %x, want %x", out, want)
	}
	for n := range in {
		if out, null := plan.Value(nil, 0, in[:n]); !null {
			t.Errorf("cut at %d: %x", n, out)
		}
	}
	if _, null := plan.Value(nil, 0, append(in, 0)); !null {
		t.Error("a byte too many was taken")
	}
}

// TestWhatIsComputedShowsNoStructure looks at what a query could steer: lengths
// and NULLs.
func TestWhatIsComputedShowsNoStructure(t *testing.T) {
	rules := compileRules(t, policy.Mask{Table: "*", Column: "*", Method: mask.MethodRedact})
	for _, c := range []struct {
		typ    mask.Type
		format mask.Format
		want   string // "NULL" for NULL
	}{
		{mask.Type{Kind: mask.KindText}, mask.Text, "[redacted]"},
		{mask.Type{Kind: mask.KindInt4}, mask.Binary, "\x00\x00\x00\x00"},
		{mask.Type{Kind: mask.KindMoney}, mask.Text, "0"},
		{mask.Type{Kind: mask.KindJSON}, mask.Text, `"[redacted]"`},
		{mask.Type{Kind: mask.KindInt4, Array: true}, mask.Text, "{}"},
		{mask.TypeOID(1007, -1), mask.Binary, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17"},
		{mask.Type{Kind: mask.KindInt4, Array: true}, mask.Binary, "NULL"},
		{address(), mask.Text, "NULL"},
		{address(), mask.Binary, "NULL"},
		{mask.Type{}, mask.Text, "NULL"},
	} {
		plan := compile(t, rules, mask.Column{Type: c.typ, Format: c.format})
		for _, in := range []string{"$12.50", "{1,2,3}", "(,,,,,)", "canary", ""} {
			if out, null := plan.Value(nil, 0, []byte(in)); null != (c.want == "NULL") || !null && string(out) != c.want {
				t.Errorf("%+v: %q became %q, %v", c.typ, in, out, null)
			}
		}
		null, err := plan.Row(nil, dataRow(nil))
		if err != nil {
			t.Fatal(err)
		}
		other, err := plan.Row(nil, dataRow([]byte("canary")))
		if err != nil || !bytes.Equal(null, other) {
			t.Errorf("%+v: NULL became %q, another value %q", c.typ, null, other)
		}
		if parts, err := inParts(plan, dataRow(nil), 3); err != nil || !bytes.Equal(null, parts) {
			t.Errorf("%+v: in parts NULL became %q, %v", c.typ, parts, err)
		}
	}
}

// FuzzComposite masks hostile composites in both formats: what comes out is NULL or
// is read by the same reader, and nothing of the original is in it.
func FuzzComposite(f *testing.F) {
	f.Add(false, []byte(`(`+canary+`,7,hi,"{`+canary+`}","(""`+canary+`,y"",t)",z)`))
	f.Add(true, compositeBinary([]byte(canary), nil, []byte(canary), nil, compositeBinary([]byte(canary), nil), nil))
	f.Fuzz(func(t *testing.T, inBinary bool, in []byte) {
		format := mask.Text
		if inBinary {
			format = mask.Binary
		}
		for _, name := range []string{mask.MethodRedact, mask.MethodHash, mask.MethodFake} {
			plan := sampleCompile(t, name, mask.Value{Type: address(), Format: format})
			out, null := plan.Value(nil, 0, in)
			if null {
				continue
			}
			if strings.Contains(string(out), canary) {
				t.Fatalf("%s: %q became %q", name, in, out)
			}
			if again, null := plan.Value(nil, 0, out); null {
				t.Fatalf("%s: %q became %q, which is malformed: %q", name, in, out, again)
			}
		}
	})
}
