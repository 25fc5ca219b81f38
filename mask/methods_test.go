package mask_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/mask/masktest"
)

func text(limit int) mask.Type { return mask.Type{Kind: mask.KindText, Limit: limit} }

func TestTextMethods(t *testing.T) {
	for _, c := range []struct {
		method, in string
		typ        mask.Type
		keep       int
		want       string
	}{
		{mask.MethodRedact, "secret", text(0), 0, "[redacted]"},
		{mask.MethodRedact, "", text(0), 0, "[redacted]"},
		{mask.MethodRedact, "secret", text(3), 0, "[re"},
		{mask.MethodPartial, "4111111111111111", text(0), 4, "************1111"},
		{mask.MethodPartial, "1234", text(0), 4, "****"},
		{mask.MethodPartial, "12345", text(0), 4, "***45"},
		{mask.MethodPartial, "1234567", text(0), 4, "****567"},
		{mask.MethodPartial, "12345678", text(0), 4, "****5678"},
		{mask.MethodPartial, "ab", text(0), 1, "*b"},
		{mask.MethodPartial, "a", text(0), 0, "*"},
		{mask.MethodPartial, "äöüßé", text(0), 3, "***ßé"},
		{mask.MethodPartial, "123", text(0), 4, "***"},
		{mask.MethodPartial, "", text(0), 4, ""},
		{mask.MethodPartial, "abc", text(0), math.MaxInt, "***"},
		{mask.MethodPartial, "Zoë Ångström", text(0), 5, "*******ström"},
		{mask.MethodPartial, "bad \xff utf-8", text(0), 4, "[redacted]"},
		{mask.MethodPartial, "bad \x00 byte", text(0), 4, "[redacted]"},
		{mask.MethodPartial, strings.Repeat("x", 5000) + "tail", text(0), 4, strings.Repeat("*", 64) + "tail"},
		{mask.MethodPartial, "abcdef   ", mask.Type{Kind: mask.KindBPChar, Limit: 9}, 2, "****ef"},
		{mask.MethodPartial, "12345", mask.Type{Kind: mask.KindInt4}, 2, "0"},
		{mask.MethodPartial, "123456", text(3), 2, "[re"},
		{mask.MethodEmail, "alice@example.com", text(0), 0, "a***@example.com"},
		{mask.MethodEmail, "a@example.com", text(0), 0, "***@example.com"},
		{mask.MethodEmail, "alice@example.com", text(12), 0, "[redacted]"},
		{mask.MethodEmail, "al@x.io", text(7), 0, "[redact"},
		{mask.MethodEmail, "alice", text(0), 0, "[redacted]"},
		{mask.MethodEmail, "alice@localhost", text(0), 0, "[redacted]"},
		{mask.MethodEmail, "alice@example.com, bob@example.com", text(0), 0, "[redacted]"},
		{mask.MethodEmail, "Alice <alice@example.com>", text(0), 0, "[redacted]"},
		{mask.MethodEmail, "a..b@example.com", text(0), 0, "[redacted]"},
		{mask.MethodEmail, "@example.com", text(0), 0, "[redacted]"},
		{mask.MethodEmail, "alice@example.com.", text(0), 0, "[redacted]"},
		{mask.MethodEmail, "alice@4111.1111", text(0), 0, "a***@4111.1111"},
		{mask.MethodEmail, "7", mask.Type{Kind: mask.KindInt8}, 0, "0"},
	} {
		v := mask.Value{Bytes: []byte(c.in), Type: c.typ, Keep: c.keep}
		got, err := method(t, c.method).Mask(nil, v)
		if err != nil || string(got) != c.want {
			t.Errorf("%s(%.40q, keep %d) = %q, %v; want %q", c.method, c.in, c.keep, got, err, c.want)
		}
	}
}

// TestHashJoins holds what makes pseudonyms useful: equal values have equal ones,
// whatever the format and the exact type, and others have others.
func TestHashJoins(t *testing.T) {
	h := method(t, mask.MethodHash)
	mustMask := func(typ mask.Type, f mask.Format, b string) string {
		out, err := h.Mask(nil, mask.Value{Bytes: []byte(b), Type: typ, Format: f})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	a := mustMask(text(0), mask.Text, "alice")
	if len(a) != 26 || a != mustMask(mask.Type{Kind: mask.KindBPChar, Limit: 30}, mask.Binary, "alice    ") {
		t.Errorf("text and char(30) differ, or %q is not a pseudonym", a)
	}
	if short := mustMask(text(8), mask.Text, "alice"); short != a[:8] {
		t.Errorf("a short column has %q, not the beginning of %q", short, a)
	}
	if a == mustMask(text(0), mask.Text, "Alice") {
		t.Error("different texts have one pseudonym")
	}
	int8Type, numeric := mask.Type{Kind: mask.KindInt8}, mask.Type{Kind: mask.KindNumeric}
	if mustMask(int8Type, mask.Text, "-42") == mustMask(int8Type, mask.Text, "42") {
		t.Error("different numbers have one pseudonym")
	}
	if mustMask(numeric, mask.Text, "1.50") != mustMask(numeric, mask.Text, "1.5") {
		t.Error("equal numbers have two pseudonyms")
	}
	if mustMask(text(0), mask.Text, "42") == mustMask(int8Type, mask.Text, "42") {
		t.Error("a text and a number have one pseudonym")
	}
}

func TestHashDependsOnKey(t *testing.T) {
	v := mask.Value{Bytes: []byte("alice"), Type: text(0)}
	a, errA := method(t, mask.MethodHash).Mask(nil, v)
	b, errB := otherKey(t).Mask(nil, v)
	if errA != nil || errB != nil || bytes.Equal(a, b) {
		t.Errorf("two keys give %q and %q, %v, %v", a, b, errA, errB)
	}
}

func TestFakeShape(t *testing.T) {
	for _, c := range []struct{ in, shape string }{
		{"Alice O'Neil", "Aaaaa A'Aaaa"},
		{"+49 (170) 123-4567", "+00 (000) 000-0000"},
		{"DE89 3704 0044", "AA00 0000 0000"},
		{"alice@example.org", "aaaaaaaaaa@example.com"},
		{"---", "[redacted]"},
		{"", "[redacted]"},
		{"été 秘密", "aaa aa"},
		{"#!?x", "***a"},
	} {
		got, err := method(t, mask.MethodFake).Mask(nil, mask.Value{Bytes: []byte(c.in), Type: text(0)})
		if err != nil || !hasShape(string(got), c.shape) {
			t.Errorf("fake(%q) = %q, %v; want the shape %q", c.in, got, err, c.shape)
		}
		if string(got) == c.in {
			t.Errorf("fake(%q) is the original", c.in)
		}
	}
}

// hasShape compares character classes: a for a-z, A for A-Z, 0 for 0-9. What the
// methods put in as it is also matches itself.
func hasShape(s, shape string) bool {
	if s == shape {
		return true
	}
	s, _ = strings.CutSuffix(s, "@example.com")
	shape, _ = strings.CutSuffix(shape, "@example.com")
	class := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a'
		case r >= 'A' && r <= 'Z':
			return 'A'
		case r >= '0' && r <= '9':
			return '0'
		default:
			return r
		}
	}
	return strings.Map(class, s) == shape
}

func TestFakeNumberKeepsDigits(t *testing.T) {
	for _, c := range []struct {
		typ mask.Type
		in  string
		len int
	}{
		{mask.Type{Kind: mask.KindInt4}, "-52000", 5},
		{mask.Type{Kind: mask.KindInt2}, "32767", 5},
		{mask.Type{Kind: mask.KindInt8}, "123456789012", 12},
		{mask.Type{Kind: mask.KindNumeric}, "1234.56", 4},
		{mask.Type{Kind: mask.KindNumeric, Limit: 2}, "99.5", 2},
		{mask.Type{Kind: mask.KindFloat8}, "123.5", 3},
		{mask.Type{Kind: mask.KindOID}, "7", 1},
	} {
		v := mask.Value{Bytes: []byte(c.in), Type: c.typ}
		got, err := method(t, mask.MethodFake).Mask(nil, v)
		if err != nil || len(got) != c.len || bytes.ContainsAny(got, "-.e") {
			t.Errorf("fake(%s) = %s, %v; want %d digits", c.in, got, err, c.len)
		}
	}
}

func TestMoneyKeepsCurrency(t *testing.T) {
	for in, want := range map[string]string{"$1,234.56": "$0", "-$5.00": "$0", "($5.00)": "$0", "1.234,56 €": "0", "€7": "€0", "canary": "0"} {
		got, err := mask.Redact(nil, mask.Value{Bytes: []byte(in), Type: mask.Type{Kind: mask.KindMoney}})
		if err != nil || string(got) != want {
			t.Errorf("redact(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestUnforgeable(t *testing.T) {
	for _, name := range builtins() {
		for _, v := range []mask.Value{
			{Bytes: []byte("x")},
			{Bytes: []byte("{x}"), Type: mask.Type{Kind: mask.KindText, Array: true}},
			{Bytes: []byte("x"), Type: mask.Type{Kind: 255}},
			{Bytes: []byte("x"), Type: text(0), Format: 2},
		} {
			out, err := method(t, name).Mask([]byte("p"), v)
			if v.Format == 2 && err == nil && !bytes.Contains(out, []byte("x")) {
				continue // text is the same in any format
			}
			if !errors.Is(err, mask.ErrNull) || string(out) != "p" {
				t.Errorf("%s(%+v) = %q, %v; want %v", name, v.Type, out, err, mask.ErrNull)
			}
		}
	}
}

// TestCheckRefusesOriginals makes sure that Check is not true of everything.
func TestCheckRefusesOriginals(t *testing.T) {
	refused := 0
	for _, s := range masktest.Samples() {
		v := s.Value(mask.Binary)
		v.Bytes = append(bytes.Clone(v.Bytes), "\x00 trailing"...)
		if mask.Check(v) != nil {
			refused++
		} else if v.Type.Kind != mask.KindBytea {
			t.Errorf("%s: trailing bytes are taken", s.Name)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func TestForgedFormats(t *testing.T) {
	hash := func(k mask.Kind, s string) string {
		out, err := method(t, mask.MethodHash).Mask(nil, mask.Value{Bytes: []byte(s), Type: mask.Type{Kind: k}})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for _, s := range []string{"1b4e28ba-2fa1-41d2-883f-0016d3cca427", "00000000-0000-0000-0000-000000000001"} {
		if u := hash(mask.KindUUID, s); u[14] != '8' || !strings.ContainsRune("89ab", rune(u[19])) {
			t.Errorf("%s became %s, which is not of version 8", s, u)
		}
	}
	for _, s := range []string{"08:00:2b:01:02:03", "08:00:2b:01:02:04", "08:00:2b:01:02:05", "08:00:2b:01:02:06"} {
		if m := hash(mask.KindMACAddr, s); !strings.ContainsRune("26ae", rune(m[1])) {
			t.Errorf("%s became %s, which is not a local unicast address", s, m)
		}
	}
	if j, x := hash(mask.KindJSON, "1"), hash(mask.KindXML, "1"); strings.Contains(x, strings.Trim(j, `"`)) {
		t.Errorf("the types share a pseudonym: %s, %s", j, x)
	}
}

func TestTypeLimits(t *testing.T) {
	const varchar, numeric, bit, int4 = 1043, 1700, 1560, 23
	modifier := func(precision, scale int32) int32 { return (precision<<16 | scale&0x7ff) + 4 }
	for _, c := range []struct {
		oid    uint32
		typmod int32
		want   int
	}{
		{varchar, -1, 0}, {varchar, 9, 5}, {bit, 5, 5}, {int4, 9, 0}, {numeric, -1, 0},
		{numeric, modifier(5, 2), 3}, {numeric, modifier(5, 0), 5}, {numeric, modifier(2, 2), -1},
		{numeric, modifier(2, 5), -1}, {numeric, modifier(2, -3), 2},
	} {
		if got := mask.TypeOID(c.oid, c.typmod).Limit; got != c.want {
			t.Errorf("type %d with modifier %d: limit %d, want %d", c.oid, c.typmod, got, c.want)
		}
	}
}

// No length and no Keep lets "partial" show more than half of a text.
func TestPartialShowsHalfAtMost(t *testing.T) {
	for n := range 40 {
		in := strings.Repeat("x", n)
		for keep := range 45 {
			v := mask.Value{Bytes: []byte(in), Type: text(0), Keep: keep}
			out, err := method(t, mask.MethodPartial).Mask(nil, v)
			if shown := strings.Count(string(out), "x"); err != nil || len(out) != n || shown > n/2 || shown > keep {
				t.Errorf("%d characters, keep %d: %q, %v", n, keep, out, err)
			}
		}
	}
}
