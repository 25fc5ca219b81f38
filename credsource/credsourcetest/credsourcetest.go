// Package credsourcetest holds the suite that every credential source must pass.
package credsourcetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/headgate/gateway/credsource"
)

// A Harness makes sources to be tested.
type Harness struct {
	// New returns a fresh source with its controls. It is called once per test;
	// clean up with t.Cleanup.
	New func(t *testing.T) Fixture
}

// A Fixture is a source and what a test may do to its backing store. A nil func
// says that the source has nothing of the kind, and skips its tests.
type Fixture struct {
	Source credsource.Source
	// Request is one that the source has a credential for.
	Request credsource.Request
	// Canary is the secret, or a part of it, that the source hands out at first:
	// at least eight bytes that occur nowhere else.
	Canary string
	// Rotate replaces the secret and returns the new canary. When it returns, the
	// next call of Credential must give the new one: a source with a cache moves
	// its clock.
	Rotate func(t *testing.T) (canary string)
	// Break makes the source fail while its store still holds the secret, as far
	// as it can. A source with a cache moves its clock past what it may serve.
	Break func(t *testing.T)
	// Expire makes the current credential be past its end, with none to replace it.
	Expire func(t *testing.T)
	// Released returns how many leases the backing store has got back.
	Released func() int
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"Credential":    testCredential,
		"Redaction":     testRedaction,
		"Context":       testContext,
		"Concurrency":   testConcurrency,
		"Release":       testRelease,
		"ReleaseOnce":   testReleaseOnce,
		"Rotation":      testRotation,
		"Error":         testError,
		"Expiry":        testExpiry,
		"Refresh":       testRefresh,
		"RefreshIsSafe": testRefreshUnchanged,
	} {
		t.Run(name, func(t *testing.T) { test(t, h.New(t)) })
	}
}

// fetch returns a credential, which is released when the test ends.
func fetch(t *testing.T, f Fixture) *credsource.Credential {
	t.Helper()
	c, err := f.Source.Credential(t.Context(), f.Request)
	if err != nil {
		t.Fatalf("Credential: %v", err)
	}
	if c == nil {
		t.Fatal("Credential returned nil without an error")
	}
	t.Cleanup(func() {
		if err := c.Release(context.Background()); err != nil {
			t.Errorf("Release: %v", err)
		}
	})
	return c
}

// holds reports whether c carries the canary.
func holds(c *credsource.Credential, canary string) bool {
	for _, v := range c.Secrets() {
		if strings.Contains(v.Reveal(), canary) {
			return true
		}
	}
	if c.Certificate == nil {
		return false
	}
	return slices.ContainsFunc(c.Certificate.Certificate, func(der []byte) bool { return strings.Contains(string(der), canary) })
}

func testCredential(t *testing.T, f Fixture) {
	if len(f.Canary) < 8 {
		t.Fatalf("the canary %q is too short to be looked for", f.Canary)
	}
	for range 2 {
		if !holds(fetch(t, f), f.Canary) {
			t.Error("the credential does not hold the canary")
		}
	}
}

func testContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := f.Source.Credential(ctx, f.Request)
	if !errors.Is(err, context.Canceled) || c != nil {
		t.Errorf("with a cancelled context: got %v, %v", c, err)
	}
	if !holds(fetch(t, f), f.Canary) {
		t.Error("a cancelled call has spoilt the source")
	}
}

func testConcurrency(t *testing.T, f Fixture) {
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			c, err := f.Source.Credential(t.Context(), f.Request)
			if err != nil {
				t.Errorf("Credential: %v", err)
				return
			}
			if !holds(c, f.Canary) {
				t.Error("the credential does not hold the canary")
			}
			if err := c.Release(t.Context()); err != nil {
				t.Errorf("Release: %v", err)
			}
		})
	}
	wg.Wait()
}

// testRelease ends one lease while another is in use.
func testRelease(t *testing.T, f Fixture) {
	first, second := fetch(t, f), fetch(t, f)
	if err := first.Release(t.Context()); err != nil {
		t.Fatalf("Release: %v", err)
	}
	if !holds(second, f.Canary) {
		t.Error("a release has emptied another lease")
	}
	if !holds(fetch(t, f), f.Canary) {
		t.Error("a release has spoilt the source")
	}
}

func testReleaseOnce(t *testing.T, f Fixture) {
	c := fetch(t, f)
	var before int
	if f.Released != nil {
		before = f.Released()
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := c.Release(t.Context()); err != nil {
				t.Errorf("Release: %v", err)
			}
		})
	}
	wg.Wait()
	if f.Released == nil {
		return
	}
	if n := f.Released() - before; n > 1 {
		t.Errorf("one lease was given back %d times", n)
	}
}

func testRotation(t *testing.T, f Fixture) {
	if f.Rotate == nil {
		t.Skip("the source does not rotate")
	}
	old := fetch(t, f)
	canary := f.Rotate(t)
	fresh := fetch(t, f)
	if !holds(fresh, canary) || holds(fresh, f.Canary) {
		t.Error("the credential is not the new one")
	}
	if !holds(old, f.Canary) {
		t.Error("the rotation has changed a lease in use")
	}
	if old.Version != "" && old.Version == fresh.Version {
		t.Errorf("two credentials have the version %q", old.Version)
	}
}

func testError(t *testing.T, f Fixture) {
	if f.Break == nil {
		t.Skip("the source can't fail")
	}
	fetch(t, f)
	f.Break(t)
	c, err := f.Source.Credential(t.Context(), f.Request)
	if err == nil || c != nil {
		t.Fatalf("broken source: got %v, %v", c, err)
	}
	showsNot(t, err, f.Canary)
}

func testExpiry(t *testing.T, f Fixture) {
	if f.Expire == nil {
		t.Skip("the credential does not expire")
	}
	if fetch(t, f).Expires.IsZero() {
		t.Error("a credential that ends does not say when")
	}
	f.Expire(t)
	if c, err := f.Source.Credential(t.Context(), f.Request); err == nil || c != nil {
		t.Errorf("expired credential: got %v, %v", c, err)
	}
}

func testRefresh(t *testing.T, f Fixture) {
	refresher, ok := f.Source.(credsource.Refresher)
	if !ok || f.Rotate == nil {
		t.Skip("the source does not refresh")
	}
	refused := fetch(t, f)
	canary := f.Rotate(t)
	fresh, err := refresher.Refresh(t.Context(), f.Request, refused)
	if err != nil {
		t.Fatalf("Refresh: %v", err)
	}
	if !holds(fresh, canary) {
		t.Error("Refresh did not return the new credential")
	}
	if err := fresh.Release(t.Context()); err != nil {
		t.Errorf("Release: %v", err)
	}
}

// testRefreshUnchanged refuses a credential that nobody has rotated.
func testRefreshUnchanged(t *testing.T, f Fixture) {
	refresher, ok := f.Source.(credsource.Refresher)
	if !ok {
		t.Skip("the source does not refresh")
	}
	c, err := refresher.Refresh(t.Context(), f.Request, fetch(t, f))
	if (c == nil) == (err == nil) {
		t.Errorf("Refresh must return a credential or an error: got %v, %v", c, err)
	}
	if err != nil {
		showsNot(t, err, f.Canary)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Errorf("Release: %v", err)
	}
}
