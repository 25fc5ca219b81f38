package identitytest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// testMangled damages the good token in the usual ways.
func testMangled(t *testing.T, f Fixture) {
	token := f.Proof.Token.Reveal()
	if token == "" {
		t.Skip("the proof has no token")
	}
	for range 2 {
		for name, mangled := range mangle(token) {
			p := f.Proof
			p.Token = secret.New(mangled)
			refuse(t, f, name, p)
		}
		accept(t, f, f.Proof)
	}
}

func mangle(token string) map[string]string {
	half := len(token) / 2
	flipped := []byte(token)
	flipped[half] ^= 1
	last := []byte(token)
	last[len(last)-1] ^= 1
	return map[string]string{
		"truncated":        token[:half],
		"last byte lost":   token[:len(token)-1],
		"first byte lost":  token[1:],
		"byte added":       token + "A",
		"byte changed":     string(flipped),
		"last changed":     string(last),
		"space before":     " " + token,
		"space after":      token + " ",
		"newline after":    token + "\n",
		"newline within":   token[:half] + "\n" + token[half:],
		"NUL after":        token + "\x00",
		"twice":            token + token,
		"wide letter":      token[:half] + "\uff21" + token[half:],
		"bytes, not UTF-8": token[:half] + "\xff" + token[half:],
		"with its scheme":  "Bearer " + token,
		"one space":        " ",
		"huge":             token + strings.Repeat("A", 1<<20),
		"dots":             strings.Repeat(".", 1<<12),
		"brackets":         strings.Repeat("[", 1<<12),
	}
}

// refuse checks that p is refused properly and returns the reason.
func refuse(t *testing.T, f Fixture, name string, p identity.Proof) string {
	t.Helper()
	id, err := f.Verifier.Verify(t.Context(), p)
	if err == nil {
		t.Errorf("%s: accepted as %q", name, id.Subject)
		return ""
	}
	if !reflect.DeepEqual(id, policy.Identity{}) {
		t.Errorf("%s: an identity comes with the error: %+v", name, id)
	}
	refusal, ok := errors.AsType[*identity.Error](err)
	if !ok {
		t.Errorf("%s: %T is no *identity.Error", name, err)
		return ""
	}
	if !slices.Contains(reasons(), refusal.Reason) {
		t.Errorf("%s: %q is none of the Reason constants", name, refusal.Reason)
	}
	if found := Leak(p.Token.Reveal(), fmt.Sprintf("%v\n%+v\n%#v", err, refusal, refusal.Err)); found != "" {
		t.Errorf("%s: the error shows %q of the token", name, found)
	}
	return refusal.Reason
}

func reasons() []string {
	return []string{
		identity.ReasonUnsupported, identity.ReasonMalformed, identity.ReasonSignature, identity.ReasonAlgorithm,
		identity.ReasonUnknownKey, identity.ReasonIssuer, identity.ReasonAudience, identity.ReasonExpired,
		identity.ReasonNotYetValid, identity.ReasonTooOld, identity.ReasonClaims, identity.ReasonUnknown, identity.ReasonUnavailable,
	}
}

// shortest is the length from which a piece of a token counts as shown.
const shortest = 8

// Leak returns a piece of token that text shows: the token, one of its parts
// between dots, or a quarter of one, as they are or decoded from base64. It
// returns "" if there is none. Pieces of less than eight bytes don't count.
func Leak(token, text string) string {
	for _, part := range append(strings.Split(token, "."), token) {
		decoded, _ := base64.RawURLEncoding.DecodeString(part) // a prefix if part is damaged
		for _, whole := range []string{part, string(decoded)} {
			if found := piece(whole, text); found != "" {
				return found
			}
		}
	}
	return ""
}

func piece(whole, text string) string {
	size := max(len(whole)/4, shortest)
	for ; len(whole) >= shortest; whole = whole[min(size, len(whole)):] {
		if part := whole[:min(size, len(whole))]; strings.Contains(text, part) {
			return part
		}
	}
	return ""
}
