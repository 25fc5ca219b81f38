// Package identitytest holds the suite that every identity verifier must pass.
package identitytest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// A Harness makes verifiers to be tested.
type Harness struct {
	// New returns a fresh verifier with its controls. It is called once per test;
	// clean up with t.Cleanup.
	New func(t *testing.T) Fixture
}

// A Fixture is a verifier and what a test may do with it. A nil func says that
// the verifier has nothing of the kind, and skips its test.
type Fixture struct {
	Verifier identity.Verifier
	// Proof is one that holds.
	Proof identity.Proof
	// Want is what Proof proves.
	Want policy.Identity
	// Refused are proofs that don't hold, by name, besides those that the suite
	// makes out of Proof.
	Refused map[string]identity.Proof
	// Expire moves the verifier's clock to where Proof has just expired, which is
	// Want.Expires.
	Expire func(t *testing.T)
	// Break puts what the verifier depends on out of reach, before the first
	// proof is verified.
	Break func(t *testing.T)
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"Proof":       testProof,
		"Claimed":     testClaimed,
		"Empty":       testEmpty,
		"Refused":     testRefused,
		"Mangled":     testMangled,
		"Context":     testContext,
		"Concurrency": testConcurrency,
		"Expiry":      testExpiry,
		"Unavailable": testUnavailable,
	} {
		t.Run(name, func(t *testing.T) { test(t, h.New(t)) })
	}
}

// testProof verifies the good proof, twice: the second answer may be a cached one.
func testProof(t *testing.T, f Fixture) {
	if f.Want.Subject == "" || f.Want.Method == "" {
		t.Fatal("Want needs a subject and a method")
	}
	for range 2 {
		accept(t, f, f.Proof)
	}
}

// testClaimed gives a user name, which must not count.
func testClaimed(t *testing.T, f Fixture) {
	p := f.Proof
	p.Claimed = "somebody-else"
	accept(t, f, p)
	refuse(t, f, "only a name", identity.Proof{Claimed: f.Want.Subject})
}

func testEmpty(t *testing.T, f Fixture) {
	refuse(t, f, "the zero proof", identity.Proof{})
}

// testRefused refuses before and after the good proof has been seen.
func testRefused(t *testing.T, f Fixture) {
	for range 2 {
		for name, p := range f.Refused {
			refuse(t, f, name, p)
		}
		accept(t, f, f.Proof)
	}
}

func testContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		id, err := f.Verifier.Verify(ctx, f.Proof)
		if !errors.Is(err, context.Canceled) || !reflect.DeepEqual(id, policy.Identity{}) {
			t.Errorf("with a cancelled context: got %+v, %v", id, err)
		}
		accept(t, f, f.Proof)
	}
}

func testConcurrency(t *testing.T, f Fixture) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { accept(t, f, f.Proof) })
		wg.Go(func() { refuse(t, f, "the zero proof", identity.Proof{}) })
	}
	wg.Wait()
}

// testExpiry expires a proof that has been verified, and may be cached.
func testExpiry(t *testing.T, f Fixture) {
	if f.Expire == nil {
		t.Skip("proofs don't expire")
	}
	if f.Want.Expires.IsZero() {
		t.Fatal("Want needs the time of expiry")
	}
	accept(t, f, f.Proof)
	f.Expire(t)
	if got := refuse(t, f, "expired", f.Proof); got != identity.ReasonExpired {
		t.Errorf("an expired proof is refused for %q", got)
	}
}

func testUnavailable(t *testing.T, f Fixture) {
	if f.Break == nil {
		t.Skip("nothing can break")
	}
	f.Break(t)
	if got := refuse(t, f, "broken", f.Proof); got != identity.ReasonUnavailable {
		t.Errorf("without what it depends on the verifier refuses for %q", got)
	}
}

// accept checks that p proves f.Want.
func accept(t *testing.T, f Fixture, p identity.Proof) {
	t.Helper()
	id, err := f.Verifier.Verify(t.Context(), p)
	if err != nil {
		t.Errorf("Verify: %v", err)
		return
	}
	if !id.Expires.Equal(f.Want.Expires) {
		t.Errorf("expires %v, want %v", id.Expires, f.Want.Expires)
	}
	id.Expires = f.Want.Expires
	if !reflect.DeepEqual(id, f.Want) {
		t.Errorf("got %+v, want %+v", id, f.Want)
	}
}
