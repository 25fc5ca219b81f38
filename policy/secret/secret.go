// Package secret holds the one type in which Headgate keeps passwords, tokens
// and keys. It redacts itself in every usual way of formatting a value.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Redacted is what a Value shows instead of its content.
const Redacted = "[redacted]"

// A Value is a secret text. The zero Value is empty. A Value formats, logs and
// marshals as [Redacted] whatever its content; only Reveal gives it out.
//
// Copies share their content: Zero on one empties all. A Value is safe for
// concurrent use except with Zero.
type Value struct {
	hidden *closure
}

// A closure keeps the content where reflection doesn't reach: fmt does not call
// the methods of a Value in an unexported field, and with a verb that doesn't
// fit, as %s for a struct, it follows a pointer to bytes and prints them.
type closure struct {
	content func() *[]byte
}

// New returns a Value with the content of s. The string s itself can't be
// cleared; callers that can should hold the secret in bytes and use FromBytes.
func New(s string) Value { return FromBytes([]byte(s)) }

// FromBytes returns a Value that owns b. The caller must not use b again.
func FromBytes(b []byte) Value {
	return Value{hidden: &closure{content: func() *[]byte { return &b }}}
}

// Reveal returns the content. The caller must not log or keep it.
func (v Value) Reveal() string {
	if v.hidden == nil {
		return ""
	}
	return string(*v.hidden.content())
}

// IsEmpty reports whether there is no content.
func (v Value) IsEmpty() bool { return v.hidden == nil || len(*v.hidden.content()) == 0 }

// Equal compares in time that depends on the lengths only.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(w.Reveal())) == 1
}

// Zero overwrites the content. Strings that Reveal returned before are copies,
// which the garbage collector frees but does not clear.
func (v Value) Zero() {
	if v.hidden == nil {
		return
	}
	b := v.hidden.content()
	clear(*b)
	*b = (*b)[:0]
}

// String returns Redacted.
func (v Value) String() string { return Redacted }

// GoString returns Redacted.
func (v Value) GoString() string { return Redacted }

// Format writes Redacted for every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// LogValue returns Redacted.
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns Redacted.
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns Redacted as a JSON string.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }
