package intercept_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

func verifies(f func(ctx context.Context, p identity.Proof) (policy.Identity, error)) change {
	return func(c *intercept.GuardConfig) { c.Identity = identity.VerifierFunc(f) }
}

func TestWhatDoesNotIdentify(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		verify identity.VerifierFunc
	}{
		"refusal": {identity.ReasonSignature, func(context.Context, identity.Proof) (policy.Identity, error) {
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonSignature}
		}},
		"identity beside an error": {identity.ReasonIssuer, func(context.Context, identity.Proof) (policy.Identity, error) {
			return agent(), &identity.Error{Reason: identity.ReasonIssuer}
		}},
		"panic": {identity.ReasonUnavailable, func(_ context.Context, p identity.Proof) (policy.Identity, error) {
			panic("can't verify " + p.Token.Reveal())
		}},
		"no subject": {identity.ReasonClaims, func(context.Context, identity.Proof) (policy.Identity, error) {
			return policy.Identity{Issuer: "test"}, nil
		}},
		"expired": {identity.ReasonExpired, func(context.Context, identity.Proof) (policy.Identity, error) {
			id := agent()
			id.Expires = time.Now().Add(-time.Nanosecond)
			return id, nil
		}},
		"nil": {identity.ReasonUnsupported, nil},
	} {
		t.Run(name, func(t *testing.T) {
			seen := new(witness)
			r := newRig(t, verifies(c.verify), func(c *intercept.GuardConfig) { c.Observer = seen })
			err := r.Identify(t.Context(), identity.Proof{Token: secret.New("canary-token")})
			if e := new(identity.Error); !errors.As(err, &e) || e.Reason != c.reason {
				t.Fatalf("got %v, want reason %s", err, c.reason)
			}
			if strings.Contains(err.Error(), "canary-token") {
				t.Error("the token is in the error")
			}
			if r.Identity() != nil || r.recorder.Sessions() != nil {
				t.Error("there is an identity, or a record, all the same")
			}
			if got := seen.String(); got != "refused "+c.reason {
				t.Errorf("observed %q", got)
			}
		})
	}
}

func TestVerifierThatIsLate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := newRig(t, verifies(func(context.Context, identity.Proof) (policy.Identity, error) {
		cancel()
		return agent(), nil
	}))
	if err := r.Identify(ctx, identity.Proof{}); identity.ReasonOf(err) != identity.ReasonUnavailable || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestIdentifyEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, verifies(func(ctx context.Context, _ identity.Proof) (policy.Identity, error) {
			<-ctx.Done()
			return agent(), nil
		}))
		done := make(chan error)
		go func() { done <- r.Identify(context.Background(), identity.Proof{}) }()
		synctest.Wait()
		r.End(intercept.ErrShutdown)
		if err := <-done; !errors.Is(err, intercept.ErrShutdown) {
			t.Fatal(err)
		}
		if err := r.Identify(t.Context(), identity.Proof{}); !errors.Is(err, intercept.ErrShutdown) {
			t.Fatal(err)
		}
	})
}

func TestCloseDuringIdentify(t *testing.T) {
	var r *rig
	r = newRig(t, func(c *intercept.GuardConfig) {
		c.Recorder = record.RecorderFunc(func(ctx context.Context, h record.Header) (record.Log, error) {
			log, err := r.recorder.Open(ctx, h)
			return log, errors.Join(err, r.Close(context.Background(), "client left"))
		})
	})
	if err := r.Identify(t.Context(), identity.Proof{}); !errors.Is(err, intercept.ErrOutOfOrder) {
		t.Fatal(err)
	}
	if _, sealed := r.recorder.Sealed(session); !sealed || r.Identity() != nil {
		t.Error("the log is open, or there is an identity")
	}
}

func TestVerifierSeesTargetAndAddress(t *testing.T) {
	var got identity.Proof
	r := newRig(t, verifies(func(_ context.Context, p identity.Proof) (policy.Identity, error) {
		got = p
		return agent(), nil
	}))
	if err := r.Identify(t.Context(), identity.Proof{Target: "another", RemoteAddr: "127.0.0.1:1", Claimed: "root"}); err != nil {
		t.Fatal(err)
	}
	if got.Target != "orders" || got.RemoteAddr != "192.0.2.1:5" || got.Claimed != "root" {
		t.Errorf("%+v", got)
	}
}

func TestProofOfTheHostCounts(t *testing.T) {
	var got string
	r := newRig(t, verifies(func(_ context.Context, p identity.Proof) (policy.Identity, error) {
		got = p.Token.Reveal()
		return agent(), nil
	}), func(c *intercept.GuardConfig) { c.Proof = &identity.Proof{Token: secret.New("host's")} })
	if err := r.Identify(t.Context(), identity.Proof{Token: secret.New("client's")}); err != nil || got != "host's" || !r.Preverified() {
		t.Fatalf("%q, %v, %v", got, r.Preverified(), err)
	}
	if newRig(t).Preverified() {
		t.Error("preverified by nobody")
	}
}

// expiring identifies an agent whose proof ends at a time.
func expiring(at time.Time) change {
	return verifies(func(context.Context, identity.Proof) (policy.Identity, error) {
		id := agent()
		id.Expires = at
		return id, nil
	})
}

func TestSessionEndsWithItsProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := connected(t, expiring(time.Now().Add(time.Hour)))
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if v := r.Authorize(t.Context(), query("SELECT 1")); !v.Forward {
			t.Fatal("ended too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if cause := context.Cause(r.Context()); !errors.Is(cause, intercept.ErrExpired) {
			t.Fatalf("cause %v", cause)
		}
		v := r.Authorize(t.Context(), query("SELECT 1"))
		refuses(t, v, intercept.CodeSessionEnded)
		if v.Refused().Reason != intercept.ErrExpired.Error() {
			t.Errorf("reason %q", v.Refused().Reason)
		}
	})
}

// TestClockDecidesExpiry has a clock that jumps, as a machine's that slept: the
// timer knows nothing of it.
func TestClockDecidesExpiry(t *testing.T) {
	c := new(clock)
	c.now.Store(1000)
	policyOfMemory := &memory{decision: policy.Decision{Outcome: policy.Allow, Revision: "1"}}
	for name, authorize := range map[string]func(*rig) bool{
		"Authorize":    func(r *rig) bool { return r.Authorize(t.Context(), query("SELECT 1")).Forward },
		"TryAuthorize": func(r *rig) bool { v, ok := r.TryAuthorize(query("SELECT 1")); return ok && v.Forward },
	} {
		c.now.Store(1000)
		r := connected(t, expiring(time.Unix(5000, 0)), func(cfg *intercept.GuardConfig) { cfg.Now, cfg.Policy = c.Now, policyOfMemory })
		c.now.Store(4999)
		if !authorize(r) {
			t.Fatalf("%s: ended too early", name)
		}
		c.now.Store(5000)
		if authorize(r) {
			t.Fatalf("%s: forwarded after the end", name)
		}
		if !errors.Is(context.Cause(r.Context()), intercept.ErrExpired) {
			t.Errorf("%s: cause %v", name, context.Cause(r.Context()))
		}
	}
}

func TestSessionWithoutExpiryGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := connected(t)
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		if v := r.Authorize(t.Context(), query("SELECT 1")); !v.Forward {
			t.Fatalf("%+v", v.Refusal)
		}
	})
}
