package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy/secret"
)

const canary = "canary-7f3a/9+Q=="

// holder holds a secret in every way in which a struct can.
type holder struct {
	Public  secret.Value
	hidden  secret.Value
	Pointer *secret.Value
	List    []secret.Value
	Map     map[string]secret.Value
	Any     any
	Nested  struct{ V secret.Value }
}

func newHolder() holder {
	v := secret.New(canary)
	h := holder{Public: v, hidden: v, Pointer: &v, List: []secret.Value{v}, Map: map[string]secret.Value{"k": v}, Any: v}
	h.Nested.V = v
	return h
}

// leaks reports whether text holds the canary in clear or in a usual encoding.
func leaks(text string) bool {
	numbers := fmt.Sprintf("%d", []byte(canary))
	for _, form := range []string{canary, strings.Trim(numbers, "[]"), hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary))),
		base64.StdEncoding.EncodeToString([]byte(canary)), "canary"} {
		if strings.Contains(text, form) {
			return true
		}
	}
	// %#v writes bytes as 0x63, 0x61, …
	return strings.Contains(strings.ReplaceAll(text, " ", ""), "0x63,0x61,0x6e")
}

func TestVerbs(t *testing.T) {
	h := newHolder()
	values := []any{h.Public, &h.Public, h, &h, h.List, h.Map, []any{h.Any}, struct{ S secret.Value }{h.Public}, error(wrapped{h.Public})}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%08b", "%-20s", "%.3s", "%+q", "%#x", "% x", "%T", "%p", "%t", "%e"} {
			if text := fmt.Sprintf(verb, v); leaks(text) {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
		if text := fmt.Sprint(v) + fmt.Sprintln(v); leaks(text) {
			t.Errorf("Sprint of %T: %s", v, text)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if text := fmt.Sprintf(verb, h.Public); text != secret.Redacted {
			t.Errorf("%s: %q", verb, text)
		}
	}
	if h.Public.String() != secret.Redacted || h.Public.GoString() != secret.Redacted {
		t.Error("String or GoString shows something else")
	}
}

type wrapped struct{ v secret.Value }

func (w wrapped) Error() string { return fmt.Sprintf("failed with %v", w.v) }

func TestErrors(t *testing.T) {
	v := secret.New(canary)
	err := errors.Join(fmt.Errorf("a: %w", wrapped{v}), fmt.Errorf("b: %v %+v", v, newHolder()))
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); leaks(text) {
		t.Error(text)
	}
}

func TestSlog(t *testing.T) {
	var buf bytes.Buffer
	h := newHolder()
	for _, handler := range []slog.Handler{slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil)} {
		slog.New(handler).Info(fmt.Sprint(h.Public), "value", h.Public, "pointer", h.Pointer, "holder", h, "list", h.List, slog.Group("g", "map", h.Map))
	}
	if text := buf.String(); leaks(text) || strings.Count(text, secret.Redacted) < 6 {
		t.Error(text)
	}
}

func TestJSON(t *testing.T) {
	h := newHolder()
	doc, err := json.Marshal(h)
	if err != nil || leaks(string(doc)) || strings.Count(string(doc), `"`+secret.Redacted+`"`) != 6 {
		t.Errorf("%s, %v", doc, err)
	}
	doc, err = json.Marshal(map[string]any{"v": h.Public})
	if err != nil || string(doc) != `{"v":"[redacted]"}` {
		t.Errorf("%s, %v", doc, err)
	}
	text, err := h.Public.MarshalText()
	if err != nil || string(text) != secret.Redacted {
		t.Errorf("%s, %v", text, err)
	}
}

func TestReveal(t *testing.T) {
	var zero secret.Value
	if !zero.IsEmpty() || zero.Reveal() != "" || zero.String() != secret.Redacted {
		t.Error("the zero Value isn't empty")
	}
	zero.Zero()
	v := secret.New(canary)
	if v.Reveal() != canary || v.IsEmpty() {
		t.Errorf("%q", v.Reveal())
	}
	for w, want := range map[secret.Value]bool{secret.New(canary): true, secret.New(canary + "x"): false, secret.New(""): false, zero: false} {
		if v.Equal(w) != want || w.Equal(v) != want {
			t.Errorf("equal to a value of %d bytes: %v", len(w.Reveal()), !want)
		}
	}
	if !zero.Equal(secret.New("")) {
		t.Error("two empty values differ")
	}
}

func TestZero(t *testing.T) {
	b := []byte(canary)
	v := secret.FromBytes(b)
	c := v
	v.Zero()
	if !v.IsEmpty() || !c.IsEmpty() || c.Reveal() != "" {
		t.Error("a copy keeps its content")
	}
	if !bytes.Equal(b, make([]byte, len(b))) {
		t.Errorf("memory not overwritten: %q", b)
	}
}

func ExampleNew() {
	password := secret.New("hunter2")
	fmt.Println(password, len(password.Reveal()))
	// Output: [redacted] 7
}

func ExampleFromBytes() {
	token := secret.FromBytes([]byte("abc"))
	token.Zero()
	fmt.Println(token, token.IsEmpty())
	// Output: [redacted] true
}
