package mask_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

func maskDocument(t testing.TB, method, text string, f mask.Format) (string, bool) {
	t.Helper()
	v := mask.Value{Type: mask.Type{Kind: mask.KindJSONB}, Format: f}
	in := []byte(text)
	if f == mask.Binary {
		in = append([]byte{1}, in...)
	}
	out, null := sampleCompile(t, method, v).Value(nil, 0, in)
	if f == mask.Binary && !null {
		if len(out) == 0 || out[0] != 1 {
			t.Fatalf("no version: %q", out)
		}
		out = out[1:]
	}
	return string(out), null
}

func TestDocumentsAreMaskedInPlace(t *testing.T) {
	for _, c := range []struct{ method, in, want string }{
		{mask.MethodRedact, `{"a": ["x", 17, true, false, null, {}], "b":{"c":"d"} }`, `{"a": ["[redacted]", 0, false, false, null, {}], "b":{"c":"[redacted]"} }`},
		{mask.MethodRedact, ` "x" `, ` "[redacted]" `},
		{mask.MethodRedact, `-1.5e+10`, `0`},
		{mask.MethodRedact, `[]`, `[]`},
		{mask.MethodRedact, `[[[]],"\u00e9\"\\"]`, `[[[]],"[redacted]"]`},
		{mask.MethodPartial, `{"card": "4111-2222"}`, `{"card": "*******22"}`},
		{mask.MethodPartial, `"ab\n\u0001\"\\cd"`, `"******cd"`},
		{mask.MethodPartial, `"abcdef\n\u0001\""`, `"*******\u0001\""`},
		{mask.MethodPartial, `"\ud83d\ude00\ud83d\ude00\ud800abc"`, `"****bc"`},
		{mask.MethodPartial, `"abc\u0000def"`, `"[redacted]"`},
		{mask.MethodEmail, `{"to": ["ann@example.com", "x"], "n": 3}`, `{"to": ["a***@example.com", "[redacted]"], "n": 0}`},
	} {
		for _, f := range []mask.Format{mask.Text, mask.Binary} {
			if got, null := maskDocument(t, c.method, c.in, f); got != c.want || null {
				t.Errorf("%s of %s: got %s, %v, want %s", c.method, c.in, got, null, c.want)
			}
		}
	}
}

func TestPseudonymsInDocumentsAreThoseOfColumns(t *testing.T) {
	want := hashOf(t, mask.KindText, "ann@example.com")
	if got, _ := maskDocument(t, mask.MethodHash, `{"to":"ann@\u0065xample.com"}`, mask.Text); got != `{"to":"`+want+`"}` {
		t.Errorf("got %s, want %s in it", got, want)
	}
	number := hashOf(t, mask.KindNumeric, "4711")
	if got, _ := maskDocument(t, mask.MethodHash, `[4711.0]`, mask.Text); got != "["+number+"]" {
		t.Errorf("got %s, want %s in it", got, number)
	}
}

func hashOf(t *testing.T, k mask.Kind, text string) string {
	t.Helper()
	out, err := method(t, mask.MethodHash).Mask(nil, mask.Value{Bytes: []byte(text), Type: mask.Type{Kind: k}})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestMalformedDocumentsAreRedactedWhole(t *testing.T) {
	deep := strings.Repeat("[", 1025) + strings.Repeat("]", 1025)
	for _, in := range []string{
		"", "{", "[1", "[1,]", `{"a"}`, `{"a":}`, `{"a":1,}`, "{1:2}", "1 2", "01", "-", "1.", "1e", ".5", "+1", "tru", "nulll", `"a`, `"\x"`, `"\u12g4"`, "\"\x01\"", "[}", "{]", "][", `{"a":1}}`, "\xff", "\"\xff\"",
		`"a" "b"`, `[1 2]`, `{"a" 1}`, `{"a":1 "b":2}`, ",", ":", "'x'", "[NaN]", deep,
	} {
		if got, null := maskDocument(t, mask.MethodHash, in, mask.Text); got != `"[redacted]"` || null {
			t.Errorf("%.40q: got %.60q, %v", in, got, null)
		}
	}
	if got, null := maskDocument(t, mask.MethodRedact, deep[1:2049], mask.Text); got != deep[1:2049] || null {
		t.Errorf("a depth of 1024: got %.60q, %v", got, null)
	}
	v := mask.Value{Type: mask.Type{Kind: mask.KindJSONB}, Format: mask.Binary}
	if out, _ := sampleCompile(t, mask.MethodRedact, v).Value(nil, 0, []byte(`{"canary":1}`)); string(out) != "\x01\"[redacted]\"" {
		t.Errorf("without a version: got %q", out)
	}
}

// A document that would grow too much is redacted whole.
func TestGrowthOfDocumentsIsBounded(t *testing.T) {
	small := "[" + strings.Repeat("0,", 3000) + "0]"
	if got, _ := maskDocument(t, mask.MethodHash, small, mask.Text); strings.Count(got, ",") != 3000 {
		t.Errorf("got %.60q", got)
	}
	large := "[" + strings.Repeat(`"",`, 100_000) + "0]"
	if got, _ := maskDocument(t, mask.MethodHash, large, mask.Text); got != `"[redacted]"` {
		t.Errorf("got %.60q", got)
	}
}

// What is computed may have values for names, so that only a constant will do.
func TestComputedDocumentsAreRedactedWhole(t *testing.T) {
	rules := compileRules(t, policy.Mask{Table: "*", Column: "*", Method: mask.MethodRedact})
	for _, c := range []mask.Column{
		{},
		{Sources: []mask.Source{{Schema: "s", Table: "t", Column: "c"}}, Traced: true, Derived: true},
	} {
		c.Type = mask.Type{Kind: mask.KindJSON}
		if out, null := compile(t, rules, c).Value(nil, 0, []byte(`{"canary": 1}`)); string(out) != `"[redacted]"` || null {
			t.Errorf("%+v: got %s", c, out)
		}
	}
}

// FuzzDocument holds the scanner against the standard library's: both take the
// same texts, and the structure that is left is the same.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{`{"a": ["x", 17, true, null, {}], "b":{"c":"d"} }`, `[1,]`, `"\ud83d\ude00\u0000"`, `-0.5E-7`, `{"a":1,"a":2}`, "[[[[", `{"` + canary + `":"` + canary + `\n"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, name := range builtins() {
			got, null := maskDocument(t, name, string(in), mask.Text)
			if name == mask.MethodNull {
				continue
			}
			if null || !json.Valid([]byte(got)) {
				t.Fatalf("%s of %q: %q, %v", name, in, got, null)
			}
			if len(got) > 4*len(in)+(64<<10)+64 {
				t.Fatalf("%s: %d bytes became %d", name, len(in), len(got))
			}
			if got != `"[redacted]"` {
				sameStructure(t, in, []byte(got))
			}
			if name == mask.MethodRedact {
				onlyConstants(t, []byte(got))
			}
		}
	})
}

func sameStructure(t *testing.T, in, out []byte) {
	t.Helper()
	a, errIn := structure(in)
	b, errOut := structure(out)
	if errIn != nil || errOut != nil {
		t.Fatalf("%q became %q: %v, %v", in, out, errIn, errOut)
	}
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("%q became %q: %v, %v", in, out, a, b)
	}
}

// onlyConstants fails if a redacted document has any value of its own.
func onlyConstants(t *testing.T, out []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	for level := []any{v}; len(level) > 0; {
		v, level = level[0], level[1:]
		switch v := v.(type) {
		case []any:
			level = append(level, v...)
		case map[string]any:
			for _, member := range v {
				level = append(level, member)
			}
		default:
			if v != nil && v != "[redacted]" && v != 0.0 && v != false {
				t.Fatalf("%q has %v", out, v)
			}
		}
	}
}

// structure lists the kinds of a document's tokens.
func structure(b []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var out []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if delim, ok := token.(json.Delim); ok {
			out = append(out, delim.String())
			continue
		}
		out = append(out, fmt.Sprintf("%T", token))
	}
}
