package intercept_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

// refusing dials like an upstream that refuses the first n credentials.
func refusing(n int, dials *int) func(context.Context, *credsource.Credential) error {
	return func(context.Context, *credsource.Credential) error {
		*dials++
		if *dials <= n {
			return fmt.Errorf("28P01: %w", intercept.ErrCredentialRefused)
		}
		return nil
	}
}

// plainSource hides that a vault can refresh.
type plainSource struct{ *vault }

func (p plainSource) Refresh() {} // not that of a Refresher

func TestRefusedCredentialIsRefreshedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		source               *vault
		plain                bool
		refuse               int
		dials, refreshed     int
		connected            bool
		outstandingConnected int32
	}{
		"accepted":        {source: new(vault), dials: 1, connected: true},
		"refused once":    {source: new(vault), refuse: 1, dials: 2, refreshed: 1, connected: true},
		"refused twice":   {source: new(vault), refuse: 2, dials: 2, refreshed: 1},
		"refresh fails":   {source: &vault{refreshErr: errBroken}, refuse: 1, dials: 1, refreshed: 1},
		"can't refresh":   {source: new(vault), plain: true, refuse: 1, dials: 1},
		"none to be had":  {source: &vault{err: errBroken}, dials: 0},
		"release fails":   {source: &vault{release: errBroken}, refuse: 1, dials: 2, refreshed: 1, connected: true},
		"nothing helps":   {source: &vault{release: errBroken}, refuse: 9, dials: 2, refreshed: 1},
		"refresh is late": {source: &vault{refreshErr: context.DeadlineExceeded}, refuse: 1, dials: 1, refreshed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := identified(t, func(cfg *intercept.GuardConfig) {
				cfg.Source = c.source
				if c.plain {
					cfg.Source = plainSource{c.source}
				}
			})
			dials := 0
			v, err := r.Connect(t.Context(), nil, refusing(c.refuse, &dials))
			if v.Forward != c.connected || (err == nil) != c.connected {
				t.Fatalf("%+v, %v", v, err)
			}
			if dials != c.dials || int(c.source.refreshed.Load()) != c.refreshed {
				t.Errorf("%d dials, %d refreshes", dials, c.source.refreshed.Load())
			}
			if want := int32(0); c.connected {
				want = 1
				c.source.outstanding(t, want)
			} else {
				c.source.outstanding(t, want)
			}
			if err := r.Close(t.Context(), "over"); c.connected && !errors.Is(err, c.source.release) {
				t.Errorf("closing: %v", err)
			}
			c.source.outstanding(t, 0)
		})
	}
}

func TestFailedReleaseIsNoted(t *testing.T) {
	source := &vault{release: errBroken}
	r := identified(t, func(c *intercept.GuardConfig) { c.Source = source })
	dials := 0
	if _, err := r.Connect(t.Context(), nil, refusing(1, &dials)); err != nil {
		t.Fatal(err)
	}
	if notes := r.entries(record.TypeEvent); len(notes) != 1 || !strings.Contains(notes[0], "credential_release_failed") {
		t.Errorf("recorded %q", notes)
	}
}

func TestSourceSeesForWhom(t *testing.T) {
	var got credsource.Request
	identified := identified(t, func(c *intercept.GuardConfig) {
		c.Source = credsource.SourceFunc(func(_ context.Context, req credsource.Request) (*credsource.Credential, error) {
			got = req
			return new(credsource.Credential), nil
		})
	})
	if _, err := identified.Connect(t.Context(), nil, dialed); err != nil {
		t.Fatal(err)
	}
	if got.Identity.Subject != "agent-7" || got.Target.Name != "orders" || got.Session != session || got.Decision.Outcome != policy.Allow {
		t.Errorf("%+v", got)
	}
}

func TestSourceThatPanics(t *testing.T) {
	r := identified(t, func(c *intercept.GuardConfig) {
		c.Source = credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) { panic("canary-password") })
	})
	v, err := r.Connect(t.Context(), nil, dialed)
	if err == nil || v.Forward || strings.Contains(err.Error(), "canary") {
		t.Fatalf("%+v, %v", v, err)
	}
}

func TestReleaseThatPanics(t *testing.T) {
	r := connected(t, func(c *intercept.GuardConfig) {
		c.Source = credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return new(credsource.Credential).WithRelease(func(context.Context) error { panic("canary-password") }), nil
		})
	})
	if err := r.Close(t.Context(), "over"); err == nil || strings.Contains(err.Error(), "canary") {
		t.Fatal(err)
	}
	if _, sealed := r.recorder.Sealed(session); !sealed {
		t.Error("the record is not sealed")
	}
}

// TestCloseWhileConnecting closes at each step of Connect.
func TestCloseWhileConnecting(t *testing.T) {
	for _, step := range []string{"policy", "fetch", "dial", "refused dial", "refresh", "second dial"} {
		t.Run(step, func(t *testing.T) {
			source := new(vault)
			var r *rig
			at := func(here string) {
				if here == step {
					if err := r.Close(context.Background(), "client left"); err != nil {
						t.Error(err)
					}
				}
			}
			r = identified(t, func(c *intercept.GuardConfig) { c.Source = stepping{source, at} }, decide(func(*policy.Input) policy.Decision {
				at("policy")
				return policy.Decision{Outcome: policy.Allow, Revision: "1"}
			}))
			dials := 0
			v, err := r.Connect(t.Context(), nil, func(context.Context, *credsource.Credential) error {
				dials++
				if dials == 2 {
					at("second dial")
					return nil
				}
				at("dial")
				at("refused dial")
				if step == "dial" {
					return nil
				}
				return intercept.ErrCredentialRefused
			})
			if v.Forward || err == nil && v.Refusal == nil {
				t.Fatalf("%+v, %v", v, err)
			}
			source.outstanding(t, 0)
			refuses(t, r.Authorize(t.Context(), query("SELECT 1")), intercept.CodeInternal)
		})
	}
}

// stepping is a vault that says which step it is asked for.
type stepping struct {
	*vault
	at func(string)
}

func (s stepping) Credential(ctx context.Context, req credsource.Request) (*credsource.Credential, error) {
	defer s.at("fetch")
	return s.vault.Credential(ctx, req)
}

func (s stepping) Refresh(ctx context.Context, req credsource.Request, old *credsource.Credential) (*credsource.Credential, error) {
	defer s.at("refresh")
	return s.vault.Refresh(ctx, req, old)
}

func TestDialEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := new(vault)
		r := identified(t, func(c *intercept.GuardConfig) { c.Source = source })
		done := make(chan error)
		go func() {
			_, err := r.Connect(t.Context(), nil, func(ctx context.Context, _ *credsource.Credential) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
			done <- err
		}()
		synctest.Wait()
		r.End(intercept.ErrShutdown)
		if err := <-done; !errors.Is(err, intercept.ErrShutdown) {
			t.Fatal(err)
		}
		source.outstanding(t, 0)
	})
}

func TestCloseIsIdempotentAndConcurrent(t *testing.T) {
	source, seen := new(vault), new(witness)
	r := connected(t, func(c *intercept.GuardConfig) { c.Source, c.Observer = source, seen })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := r.Close(t.Context(), "over"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { r.Authorize(t.Context(), query("SELECT 1")) })
	}
	wg.Wait()
	if err := r.Close(t.Context(), "again"); err != nil {
		t.Error(err)
	}
	if source.returned.Load() != 1 {
		t.Errorf("released %d times", source.returned.Load())
	}
	if reason, ok := r.recorder.Sealed(session); !ok || reason != "over" {
		t.Errorf("sealed %v with %q", ok, reason)
	}
	if n := strings.Count(seen.String(), "ended"); n != 1 || r.Context().Err() == nil {
		t.Errorf("ended %d times, context %v", n, r.Context().Err())
	}
}

func TestCloseBeforeIdentify(t *testing.T) {
	seen := new(witness)
	r := newRig(t, func(c *intercept.GuardConfig) { c.Observer = seen })
	if err := r.Close(t.Context(), "client left"); err != nil || seen.String() != "" || r.recorder.Sessions() != nil {
		t.Errorf("%v, observed %q", err, seen)
	}
}

// TestClosedGuardIsForgotten has a proof that holds for long: its timer must not
// keep the Guard until then.
func TestClosedGuardIsForgotten(t *testing.T) {
	forgotten := func() weak.Pointer[intercept.Guard] {
		g, err := intercept.NewGuard(t.Context(), intercept.GuardConfig{
			Session: session, Policy: always(policy.Allow), Recorder: new(record.Memory),
			Identity: identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
				return policy.Identity{Subject: "ann", Expires: time.Now().Add(time.Hour)}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(g.Identify(t.Context(), identity.Proof{}), g.Close(t.Context(), "over")); err != nil {
			t.Fatal(err)
		}
		return weak.Make(g)
	}()
	for deadline := time.Now().Add(20 * time.Second); forgotten.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("something keeps it")
		}
	}
}
