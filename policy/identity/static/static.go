// Package static verifies bearer tokens that stand in the configuration. It is
// meant for development and tests: its tokens don't rotate, and whoever reads the
// configuration can be anybody. It imports the standard library only.
package static

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// Method is the Method of the identities that a Verifier returns.
const Method = "static"

// Lengths of tokens, in bytes.
const (
	MinTokenBytes = 16
	MaxTokenBytes = 4096
)

// A Token is a bearer token and whom it proves.
type Token struct {
	// Token has MinTokenBytes to MaxTokenBytes. White space around it is an
	// error: it usually comes from a file's last line.
	Token secret.Value
	// Identity needs a Subject. Its Method is set to Method. The token is refused
	// from Expires on; zero means that it does not expire. Two tokens may have the
	// same identity.
	Identity policy.Identity
}

// Config is what a Verifier works with.
type Config struct {
	// Tokens are those that are accepted. None is fine: all are refused then.
	Tokens []Token
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verifier is an identity.Verifier. It keeps the SHA-256 of each token and not
// the token, and compares a proof with all of them in constant time. The zero
// Verifier refuses every proof. A Verifier is safe for concurrent use.
type Verifier struct {
	now    func() time.Time
	sums   [][sha256.Size]byte
	proven []policy.Identity
}

var _ identity.Verifier = (*Verifier)(nil)

// New returns a Verifier with a copy of cfg. Empty, short, overlong and duplicate
// tokens are errors, and so is an identity without a subject. Errors name a token
// by its place in the list.
func New(cfg Config) (*Verifier, error) {
	v := &Verifier{now: cfg.Now}
	if v.now == nil {
		v.now = time.Now
	}
	for i, t := range cfg.Tokens {
		if err := v.add(t); err != nil {
			return nil, fmt.Errorf("static: token %d: %w", i, err)
		}
	}
	return v, nil
}

func (v *Verifier) add(t Token) error {
	token := t.Token.Reveal()
	switch {
	case len(token) < MinTokenBytes:
		return fmt.Errorf("shorter than %d bytes", MinTokenBytes)
	case len(token) > MaxTokenBytes:
		return fmt.Errorf("longer than %d bytes", MaxTokenBytes)
	case strings.TrimSpace(token) != token:
		return errors.New("white space around it")
	case t.Identity.Subject == "":
		return errors.New("no subject")
	}
	sum := sha256.Sum256([]byte(token))
	if v.find(sum) >= 0 {
		return errors.New("listed twice")
	}
	id := clone(t.Identity)
	id.Method = Method
	v.sums = append(v.sums, sum)
	v.proven = append(v.proven, id)
	return nil
}

// find returns the index of sum, -1 if there is none, in a time that depends on
// the number of tokens only.
func (v *Verifier) find(sum [sha256.Size]byte) int {
	found := -1
	for i := range v.sums {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(v.sums[i][:], sum[:]), i, found)
	}
	return found
}

// Verify returns the identity of the proof's token. It refuses with
// ReasonUnsupported for want of a token, ReasonUnknown, ReasonExpired, and
// ReasonUnavailable once ctx is done.
func (v *Verifier) Verify(ctx context.Context, p identity.Proof) (policy.Identity, error) {
	if err := ctx.Err(); err != nil {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnavailable, Err: err}
	}
	if p.Token.IsEmpty() {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnsupported, Err: errNoToken}
	}
	token := p.Token.Reveal()
	if len(token) > MaxTokenBytes {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
	}
	i := v.find(sha256.Sum256([]byte(token)))
	if i < 0 {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
	}
	id := v.proven[i]
	if !id.Expires.IsZero() && !v.now().Before(id.Expires) {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonExpired}
	}
	return id, nil
}

var errNoToken = errors.New("no token")
