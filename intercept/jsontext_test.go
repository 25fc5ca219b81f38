package intercept

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "SELECT 1", "\x00\x1f\x7f\"\\/\b\f\n\r\t", "né\u2028\u2029\ufffd\U0001F600", "\xff\xc3\x28\xed\xa0\x80\xf5", "<&>", "a\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendJSONString([]byte("prefix"), s)
		text, ok := strings.CutPrefix(string(b), "prefix")
		if !ok || !utf8.ValidString(text) {
			t.Fatalf("%q", b)
		}
		var got, want string
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		standard, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(standard, &want); err != nil || got != want {
			t.Fatalf("%q reads as %q, as encoding/json has it %q", s, got, want)
		}
		if utf8.ValidString(s) && got != s {
			t.Fatalf("%q reads as %q", s, got)
		}
	})
}
