package approve

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzDecodeAnswer checks that whatever is accepted as a decision says the same
// to a reader that is not ours.
func FuzzDecodeAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"decision":"grant","digest":"ab","reason":"ok","scope":{"uses":2,"for":"10m","session":true}}`,
		`{"decision":"refuse","digest":"ab"}`, `{"decision":"refuse","Decision":"grant"}`, `{"decision":"grant","decision":"refuse"}`,
		`{"scope":{"for":"-1ns","uses":-1}}`, `{}`, `[]`, `{"decision":"grant"}{}`, "\xff", `{"decision":"gr\u0061nt"}`, `{"a":[[[[{}]]]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b answerBody
		if decodeStrict(body, &b) != nil {
			return
		}
		a, err := b.answer()
		if err != nil {
			return
		}
		var generic map[string]any
		if err := json.Unmarshal(body, &generic); err != nil {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		if want := map[bool]string{true: "grant", false: "refuse"}[a.Grant]; generic["decision"] != want {
			t.Errorf("read %q where others read %q: %q", want, generic["decision"], body)
		}
		if digest, _ := generic["digest"].(string); digest != a.Digest {
			t.Errorf("digest %q, others read %q", a.Digest, digest)
		}
		if len(a.Reason) > maxReasonBytes || !utf8.ValidString(a.Reason) {
			t.Errorf("reason %q", a.Reason)
		}
	})
}

// FuzzEscape checks that escaping changes no content and leaves only printable
// ASCII.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "a", "\x1b[2J", "\u202e", "\U0001f600", "\x7f", "\u2028", `\"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		doc, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		out := escape(doc)
		for _, b := range out {
			if b < ' ' || b > '~' {
				t.Fatalf("%q has the byte %#x", out, b)
			}
		}
		var back string
		if err := json.Unmarshal(out, &back); err != nil || back != text {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
	})
}
