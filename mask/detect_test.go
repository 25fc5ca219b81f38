package mask_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// detecting is a mask of everything that detectors find.
func detecting(method string, kinds ...string) policy.Mask {
	return policy.Mask{Table: "*.*", Column: "*", Method: method, Keep: 4, Detect: kinds}
}

// scrubbed returns what a plan of one column makes of a value, "NULL" for NULL.
func scrubbed(t testing.TB, m policy.Mask, typ mask.Type, f mask.Format, value string) string {
	t.Helper()
	plan := compile(t, compileRules(t, m), mask.Column{Sources: []mask.Source{{Schema: "s", Table: "t", Column: "c"}}, Traced: true, Type: typ, Format: f})
	out, null := plan.Value([]byte("before"), 0, []byte(value))
	row, err := plan.Row(nil, dataRow([]byte(value)))
	if err != nil {
		t.Fatal(err)
	}
	want := dataRow(bytes.TrimPrefix(out, []byte("before")))
	if null {
		want = dataRow(nil)
	}
	if !bytes.Equal(row, want) {
		t.Errorf("%q: row %q, value %q", value, row, want)
	}
	if null {
		return "NULL"
	}
	return string(bytes.TrimPrefix(out, []byte("before")))
}

func TestDetect(t *testing.T) {
	text, json, jsonb := mask.Type{Kind: mask.KindText}, mask.Type{Kind: mask.KindJSON}, mask.Type{Kind: mask.KindJSONB}
	texts := mask.Type{Kind: mask.KindText, Array: true}
	for _, c := range []struct {
		method string
		typ    mask.Type
		format mask.Format
		value  string
		want   string
	}{
		{"redact", text, mask.Text, "mail ada@secret.example or 4111111111111111", "mail [email] or [card]"},
		{"redact", text, mask.Binary, "mail ada@secret.example", "mail [email]"},
		{"redact", text, mask.Text, "nothing here", "nothing here"},
		{"null", text, mask.Text, "mail ada@secret.example", "NULL"},
		{"null", text, mask.Text, "nothing", "nothing"},
		{"email", text, mask.Text, "ada@secret.example, 4111111111111111", "a***@secret.example, [card]"},
		{"partial", text, mask.Text, "4111 1111 1111 1111!", "***************1111!"},
		{"redact", mask.Type{Kind: mask.KindText, Limit: 8}, mask.Text, "a@b.co", "[email]"},
		{"redact", mask.Type{Kind: mask.KindText, Limit: 6}, mask.Text, "a@b.co", "[redac"},
		{"redact", mask.Type{Kind: mask.KindBPChar, Limit: 8}, mask.Text, "a@b.co  ", "[email]  "},
		{"redact", mask.Type{Kind: mask.KindXML}, mask.Text, `<a m="x@y.com">&lt;z@y.com</a>`, `<a m="[email]">&lt;[email]</a>`},
		{"redact", json, mask.Text, `{"a": "x@y.com", "b": [4111111111111111, 5, "ok"]}`, `{"a": "[email]", "b": [0, 5, "ok"]}`},
		{"redact", json, mask.Text, `{"a": "x\u0040y.com\n"}`, `{"a": "[email]\u000a"}`},
		{"redact", json, mask.Text, `{"a": "\u0041 \/"}`, `{"a": "\u0041 \/"}`},
		{"redact", json, mask.Text, `{"x@y.com": {"password": "correct-horse1"}, "password": ""}`, `{"[email]": {"password": "[secret]"}, "password": ""}`},
		{"redact", json, mask.Text, `{"password":"correct horse","x":1}`, `{"password":"[secret]","x":1}`},
		{"redact", json, mask.Text, "{\"password\" \n : \t \"hunter-22\"}", "{\"password\" \n : \t \"[secret]\"}"},
		{"redact", json, mask.Text, `{"\u0070assword": "hunter-22"}`, `{"\u0070assword": "[secret]"}`},
		{"redact", json, mask.Text, `{"ssn": "219099999", "phone" : "4155552671"}`, `{"ssn": "[ssn]", "phone" : "[phone]"}`},
		{"redact", json, mask.Text, `{"ssn": 219099999, "phone":    4155552671, "id": 219099999}`, `{"ssn": 0, "phone":    0, "id": 219099999}`},
		{"redact", json, mask.Text, `{"version": "1.2.3.4", "ip": "1.2.3.4"}`, `{"version": "1.2.3.4", "ip": "[ip]"}`},
		{"redact", jsonb, mask.Binary, "\x01" + `{"secret": "abcd1234"}`, "\x01" + `{"secret": "[secret]"}`},
		{"redact", jsonb, mask.Binary, "\x01" + `"x@y.com"`, "\x01" + `"[email]"`},
		{"null", json, mask.Text, `["x@y.com"]`, "NULL"},
		{"redact", texts, mask.Text, `{a,"b c",NULL,x@y.com}`, `{"a","b c",NULL,"[email]"}`},
		{"redact", texts, mask.Text, `{a,"b \"c"}`, `{a,"b \"c"}`},
		{"redact", texts, mask.Text, `{"a\\b","\"x@y.com"}`, `{"a\\b","\"[email]"}`},
		{"null", texts, mask.Text, `{a,x@y.com}`, `{"a",NULL}`},
		{"redact", mask.Type{Kind: mask.KindJSON, Array: true}, mask.Text, `{"{\"a\": \"x@y.com\"}"}`, `{"{\"a\": \"[email]\"}"}`},
		{"redact", mask.Type{Kind: mask.KindBytea}, mask.Text, `\x7840792e636f6d`, `\x5b656d61696c5d`},
		{"redact", mask.Type{Kind: mask.KindBytea}, mask.Binary, "x@y.com", "[email]"},
		{"redact", mask.Type{Kind: mask.KindBytea}, mask.Binary, "\xff x@y.com", "\xff x@y.com"},
		{"redact", mask.Type{}, mask.Text, `(1,"x@y.com")`, `(1,"[email]")`},
		{"redact", mask.Type{}, mask.Binary, `x@y.com`, `[email]`},
		{"redact", mask.Type{}, mask.Binary, "\x00\x00\x00\x01\x00\x00\x00\x19\x00\x00\x00\x31" + "4111111111111111 and so on to have 49 letters....", "NULL"},
		{"redact", mask.Type{}, mask.Binary, "\x00\x00\x00\x01\x00\x00\x00\x19\x00\x00\x00\x01a", "\x00\x00\x00\x01\x00\x00\x00\x19\x00\x00\x00\x01a"},
		{"redact", mask.Type{Kind: mask.KindTSVector}, mask.Text, `'x@y.com':1`, ""},
		{"redact", mask.Type{Kind: mask.KindInt8}, mask.Text, `4111111111111111`, "4111111111111111"},
	} {
		if got := scrubbed(t, detecting(c.method, "all"), c.typ, c.format, c.value); got != c.want {
			t.Errorf("%s of %+v %q: got %q, want %q", c.method, c.typ, c.value, got, c.want)
		}
	}
}

// The glance that most documents are clean by sees what a look at each of their
// members finds.
func TestDocumentsAtAGlance(t *testing.T) {
	g := rand.New(rand.NewPCG(8, 1))
	names := []string{"password", "api_key", "auth", "x-auth", "sig", "ssn", "phone", "version", "id", "note", "my token", "no"}
	values := []string{`"hunter"`, `"correct horse"`, `"abcd1234"`, `"Bearer abcd1234"`, `"219099999"`, `"219 09 9999"`, `219099999`, `4155552671`, `"415 555 2671"`, `"1.2.3.4"`, `"x@y.com"`, `""`, `null`, `"fe80::1"`,
		`"ZXhhbXBsZQ/9fK2pQ7mL4xV8nB3tR6"`, `4111111111111111`, `["219099999"]`, `{"a":"1.2.3.4"}`}
	spaces := []string{"", "", " ", " ", "  ", "\n\t"}
	pick := func(from []string) string { return from[g.IntN(len(from))] }
	hits := 0
	for range 3000 {
		var members []string
		for range 1 + g.IntN(3) {
			members = append(members, `"`+pick(names)+`"`+pick(spaces)+":"+pick(spaces)+pick(values))
		}
		doc := strings.Join(members, ","+pick(spaces)) + "}"
		const looked = `{"\n":0,` // the escape makes each member be looked at
		want := strings.Replace(scrubbed(t, detecting("redact", "all"), mask.Type{Kind: mask.KindJSON}, mask.Text, looked+doc), looked, "{", 1)
		if got := scrubbed(t, detecting("redact", "all"), mask.Type{Kind: mask.KindJSON}, mask.Text, "{"+doc); got != want {
			t.Fatalf("{%s: got %s, want %s", doc, got, want)
		} else if got != "{"+doc {
			hits++
		}
	}
	if hits < 1000 {
		t.Errorf("%d documents with something in them", hits)
	}
}

func TestDetectWithKey(t *testing.T) {
	text := mask.Type{Kind: mask.KindText}
	for _, method := range []string{"hash", "fake"} {
		a := scrubbed(t, detecting(method, "email"), text, mask.Text, "from x@y.com")
		b := scrubbed(t, detecting(method, "email"), text, mask.Text, "x@y.com too")
		if a[:5] != "from " || len(a) < 10 || a[5:]+" too" != b || strings.Contains(a, "y.com") {
			t.Errorf("%s: %q, %q", method, a, b)
		}
	}
}

func TestDetectRules(t *testing.T) {
	source := []mask.Source{{Schema: "s", Table: "t", Column: "c"}}
	other := []mask.Source{{Schema: "s", Table: "u", Column: "c"}}
	only := policy.Mask{Table: "s.t", Column: "*", Method: "partial", Keep: 4, Detect: []string{"card"}}
	for _, c := range []struct {
		name   string
		masks  []policy.Mask
		column mask.Column
		want   string
	}{
		{"the column", []policy.Mask{only}, mask.Column{Traced: true, Sources: source}, "x@y.com ************1111"},
		{"another table", []policy.Mask{only}, mask.Column{Traced: true, Sources: other}, "x@y.com 4111111111111111"},
		{"unknown origin", []policy.Mask{only}, mask.Column{}, "x@y.com [card]"},
		{"computed", []policy.Mask{only}, mask.Column{Traced: true, Derived: true, Sources: source}, "x@y.com [card]"},
		{"a constant", []policy.Mask{only}, mask.Column{Traced: true}, "x@y.com [card]"},
		{"two rules", []policy.Mask{only, detecting("redact", "all")}, mask.Column{Traced: true, Sources: source}, "[email] [card]"},
		{"whole column", []policy.Mask{only, {Table: "s.t", Column: "c", Method: "redact"}}, mask.Column{Traced: true, Sources: source}, "[redacted]"},
		{"untraced beside a whole column", []policy.Mask{only, {Table: "s.v", Column: "c", Method: "redact"}}, mask.Column{}, "[redacted]"},
	} {
		c.column.Type = mask.Type{Kind: mask.KindText}
		plan := compile(t, compileRules(t, c.masks...), c.column)
		if got, _ := plan.Value(nil, 0, []byte("x@y.com 4111111111111111")); string(got) != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDetectorsOfTheHost(t *testing.T) {
	badge := mask.DetectorFunc(func(text []byte, from int) (int, int, bool) {
		i := bytes.Index(text[from:], []byte("badge-"))
		return from + i, min(len(text), from+i+10), i >= 0
	})
	set, err := mask.NewSet(mask.Config{Key: secret.New("a key of sixteen bytes or more"), Detectors: map[string]mask.Detector{
		"badge":  badge,
		"empty":  mask.DetectorFunc(func([]byte, int) (int, int, bool) { return 0, 0, true }),
		"panics": mask.DetectorFunc(func([]byte, int) (int, int, bool) { panic("no") }),
		"nil":    mask.DetectorFunc(nil),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ kind, value, want string }{
		{"badge", "a badge-1234 and badge-5678", "a [badge] and [badge]"},
		{"badge", "x@y.com", "x@y.com"},
		{"empty", "text", "[redacted]"},
		{"panics", "text", "[redacted]"},
		{"nil", "text", "[redacted]"},
	} {
		rules, err := set.Rules([]policy.Mask{detecting("redact", c.kind)})
		if err != nil {
			t.Fatal(err)
		}
		plan := compile(t, rules, mask.Column{Type: mask.Type{Kind: mask.KindText}})
		if got, _ := plan.Value(nil, 0, []byte(c.value)); string(got) != c.want {
			t.Errorf("%s: got %q, want %q", c.kind, got, c.want)
		}
		if got := rules.Message(nil, []byte(c.value)); string(got) != c.want {
			t.Errorf("%s in a message: got %q, want %q", c.kind, got, c.want)
		}
	}
	if _, err := set.Rules([]policy.Mask{detecting("redact", "bagde")}); err == nil {
		t.Error("an unknown kind is taken")
	}
	for _, name := range []string{"", "all", "email"} {
		if _, err := mask.NewSet(mask.Config{Detectors: map[string]mask.Detector{name: badge}}); err == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

func TestRewriteLeavesCleanRowsAlone(t *testing.T) {
	plan := compile(t, compileRules(t, detecting("redact", "all")), mask.Column{Type: mask.Type{Kind: mask.KindText}}, mask.Column{Type: mask.Type{Kind: mask.KindInt4}})
	if plan.Empty() || plan.Masks() || plan.Method(0) != mask.MethodDetect || plan.Method(1) != "" {
		t.Errorf("Empty %v, Masks %v, methods %q, %q", plan.Empty(), plan.Masks(), plan.Method(0), plan.Method(1))
	}
	dst := []byte("kept")
	clean, dirty := dataRow([]byte("text"), []byte("5")), dataRow([]byte("x@y.com"), []byte("5"))
	if out, changed, err := plan.Rewrite(dst, clean); changed || err != nil || string(out) != "kept" {
		t.Errorf("%q, %v, %v", out, changed, err)
	}
	if out, changed, err := plan.Rewrite(dst, dirty); !changed || err != nil || !bytes.Equal(out, append([]byte("kept"), dataRow([]byte("[email]"), []byte("5"))...)) {
		t.Errorf("%q, %v, %v", out, changed, err)
	}
	if _, _, err := plan.Rewrite(nil, clean[:5]); err == nil {
		t.Error("half a row is taken")
	}
}

// FuzzDetectJSON: documents stay documents, and nothing is left to find in them.
func FuzzDetectJSON(f *testing.F) {
	for _, seed := range []string{`{"a": "x@y.com"}`, `["\u0078@y.com", 4111111111111111, {"password": "hunter22"}]`, `"\ud83d\ude00x@y.com"`, `{"x@y.com": null}`, `[`, `"4111 1111 1111 1111"`, "\"-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQ\\n\""} {
		f.Add(seed)
	}
	m := detecting("redact", "all")
	f.Fuzz(func(t *testing.T, doc string) {
		if !json.Valid([]byte(doc)) {
			return
		}
		typ := mask.Type{Kind: mask.KindJSON}
		out := scrubbed(t, m, typ, mask.Text, doc)
		if !json.Valid([]byte(out)) {
			t.Fatalf("%q became %q", doc, out)
		}
		if again := scrubbed(t, m, typ, mask.Text, out); again != out {
			t.Fatalf("%q became %q and then %q", doc, out, again)
		}
	})
}
