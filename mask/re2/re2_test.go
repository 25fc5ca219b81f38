package re2_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/mask/re2"
	"github.com/headgate/gateway/policy"
)

func rules(t testing.TB, patterns map[string]string, kinds ...string) *mask.Rules {
	t.Helper()
	detectors, err := re2.Detectors(patterns)
	if err != nil {
		t.Fatal(err)
	}
	set, err := mask.NewSet(mask.Config{Detectors: detectors})
	if err != nil {
		t.Fatal(err)
	}
	r, err := set.Rules([]policy.Mask{{Table: "*.*", Column: "*", Method: mask.MethodRedact, Detect: kinds}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPatterns(t *testing.T) {
	r := rules(t, map[string]string{"badge": `\bEMP-\d{6}\b`, "pin": `pin (?P<value>\d{4})`, "name": `(?i)älice`}, "all")
	for in, want := range map[string]string{
		"EMP-123456 and EMP-654321.":       "[badge] and [badge].",
		"EMP-1234567":                      "EMP-1234567",
		"the pin 1234, the pins 1234":      "the pin [pin], the pins 1234",
		"call Älice at ada@secret.example": "call [name] at [email]",
		"":                                 "",
	} {
		if got := string(r.Message(nil, []byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestUnusablePatterns(t *testing.T) {
	for _, pattern := range []string{"", "(", `a*`, `(?=x)`, strings.Repeat("a", re2.MaxPattern+1), `^$`} {
		if _, err := re2.New(pattern); !errors.Is(err, re2.ErrPattern) {
			t.Errorf("%.20q: %v", pattern, err)
		}
	}
	if _, err := re2.Detectors(map[string]string{"ok": "a", "bad": "("}); !errors.Is(err, re2.ErrPattern) {
		t.Errorf("%v", err)
	}
}

func TestZeroDetectorRedacts(t *testing.T) {
	set, err := mask.NewSet(mask.Config{Detectors: map[string]mask.Detector{"zero": new(re2.Detector)}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := set.Rules([]policy.Mask{{Table: "*.*", Column: "*", Method: mask.MethodRedact, Detect: []string{"zero"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.Message(nil, []byte("text"))); got != "[redacted]" {
		t.Errorf("got %q", got)
	}
}

// FuzzFind compares with package regexp.
func FuzzFind(f *testing.F) {
	const pattern = `[a-z]+-[0-9]{2,}`
	d, err := re2.New(pattern)
	if err != nil {
		f.Fatal(err)
	}
	reference := regexp.MustCompile(pattern)
	f.Add("a-12 b-345", 0)
	f.Add("xa-1a-12", 3)
	f.Fuzz(func(t *testing.T, text string, from int) {
		if from < 0 || from > len(text) {
			return
		}
		start, end, ok := d.Find([]byte(text), from)
		want := reference.FindStringIndex(text[from:])
		if ok != (want != nil) || ok && (start != from+want[0] || end != from+want[1]) {
			t.Errorf("%q from %d: %d, %d, %v, want %v", text, from, start, end, ok, want)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	r := rules(b, map[string]string{"badge": `\bEMP-\d{6}\b`}, "badge")
	text := []byte(strings.Repeat("nothing to see in this one, score 12.5, moved on ", 20))
	b.SetBytes(int64(len(text)))
	var out []byte
	for b.Loop() {
		out = r.Message(out[:0], text)
	}
}
