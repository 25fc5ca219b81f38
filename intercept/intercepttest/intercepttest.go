// Package intercepttest is the suite that every Interceptor must pass, third
// parties' included, and Lines, the reference Interceptor.
package intercepttest

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// A Subject is an Interceptor with a client and an upstream of its protocol.
type Subject struct {
	Interceptor intercept.Interceptor
	// Username and Password are what the upstream takes.
	Username, Password string
	// Login begins a session on conn with a token. It returns an error if the
	// session is refused.
	Login func(conn net.Conn, token string) (Client, error)
	// Allowed and Denied are two commands. The policy of the suite denies the one
	// whose text is Denied.
	Allowed, Denied string
	// Effective reports whether Denied has reached the upstream.
	Effective func() bool
}

// A Client is a logged-in client of the protocol.
type Client interface {
	// Do sends a command and returns the answer. A refusal is an answer for which
	// refused is true; err means that the connection can't be used any more.
	Do(command string) (answer string, refused bool, err error)
}

// token is what the suite's verifier accepts.
const token = "intercepttest-token-of-the-suite"

// Run runs the suite. New is called for each test.
func Run(t *testing.T, newSubject func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"AllowedCommandIsRecordedAndRuns": allowed,
		"DenialIsAnAnswer":                denial,
		"WrongTokenGetsNowhere":           wrongToken,
		"PolicyErrorRefuses":              policyError,
		"PolicyPanicRefuses":              policyPanic,
		"EndingTheGuardEndsTheSession":    ended,
		"FailingRecorderReleasesNothing":  recorderFails,
		"PasswordStaysInside":             passwordInside,
	} {
		t.Run(name, func(t *testing.T) { test(t, newSubject(t)) })
	}
}

// rig is a Guard with a client on the other side of a pipe.
type rig struct {
	guard    *intercept.Guard
	conn     net.Conn
	recorder *record.Memory
	ended    chan error
}

func start(t *testing.T, s Subject, decide policy.EvaluatorFunc) *rig {
	t.Helper()
	r := &rig{recorder: new(record.Memory), ended: make(chan error, 1)}
	guard, err := intercept.NewGuard(t.Context(), intercept.GuardConfig{
		Session: "suite", Target: policy.Target{Name: "suite", Protocol: s.Interceptor.Protocol()},
		Identity: identity.VerifierFunc(verify), Policy: decide, Recorder: r.recorder,
		Source: credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return &credsource.Credential{Username: s.Username, Password: secret.New(s.Password)}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	r.guard, r.conn = guard, near
	go func() { r.ended <- s.Interceptor.Intercept(t.Context(), far, guard) }()
	t.Cleanup(func() {
		_ = near.Close()
		select {
		case <-r.ended: //nolint:errcheck // a case looks at it where it matters
		case <-time.After(patience):
			t.Error("Intercept did not return after the client left")
		}
		if err := guard.Close(context.Background(), "test over"); err != nil && !errors.Is(err, intercept.ErrRecorder) {
			t.Error(err)
		}
	})
	return r
}

// patience bounds what must happen soon.
const patience = 20 * time.Second

func verify(_ context.Context, p identity.Proof) (policy.Identity, error) {
	if p.Token.Reveal() != token {
		return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
	}
	return policy.Identity{Subject: "suite", Issuer: "intercepttest", Method: "static"}, nil
}

// denying allows all but one command.
func denying(denied string) policy.EvaluatorFunc {
	return func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Text == denied {
			return policy.Decision{Revision: "1", Reasons: []policy.Reason{{Rule: "suite", Message: "not this one"}}}, nil
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	}
}

func login(t *testing.T, s Subject, r *rig) Client {
	t.Helper()
	c, err := s.Login(r.conn, token)
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	return c
}

func allowed(t *testing.T, s Subject) {
	r := start(t, s, denying(s.Denied))
	c := login(t, s, r)
	answer, refused, err := c.Do(s.Allowed)
	if err != nil || refused {
		t.Fatalf("answer %q, refused %v, %v", answer, refused, err)
	}
	var command, output, result bool
	for _, e := range r.recorder.Entries("suite") {
		command = command || e.Type == record.TypeCommand && strings.Contains(string(e.Payload), `"forward":true`)
		output = output || e.Type == record.TypeOutput && command
		result = result || e.Type == record.TypeResult && output
	}
	if !command || !output || !result {
		t.Errorf("recorded: command %v, then output %v, then result %v", command, output, result)
	}
}

func denial(t *testing.T, s Subject) {
	r := start(t, s, denying(s.Denied))
	c := login(t, s, r)
	if answer, refused, err := c.Do(s.Denied); err != nil || !refused {
		t.Fatalf("answer %q, refused %v, %v: want a refusal and a session that goes on", answer, refused, err)
	}
	if _, refused, err := c.Do(s.Allowed); err != nil || refused {
		t.Fatalf("after a refusal: refused %v, %v", refused, err)
	}
	if s.Effective() {
		t.Error("the denied command has reached the upstream")
	}
}

func wrongToken(t *testing.T, s Subject) {
	r := start(t, s, denying(s.Denied))
	if _, err := s.Login(r.conn, "not the token"); err == nil {
		t.Fatal("a wrong token was let in")
	}
	if id := r.guard.Identity(); id != nil {
		t.Errorf("the session has identity %v", id)
	}
}

func policyError(t *testing.T, s Subject) {
	refusesAll(t, s, func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Text == s.Denied {
			return policy.Decision{Outcome: policy.Allow}, errors.New("no decision")
		}
		return policy.Decision{Outcome: policy.Allow}, nil
	})
}

func policyPanic(t *testing.T, s Subject) {
	refusesAll(t, s, func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Text == s.Denied {
			panic("no decision")
		}
		return policy.Decision{Outcome: policy.Allow}, nil
	})
}

func refusesAll(t *testing.T, s Subject, decide policy.EvaluatorFunc) {
	t.Helper()
	r := start(t, s, decide)
	c := login(t, s, r)
	if _, refused, err := c.Do(s.Denied); err != nil || !refused {
		t.Fatalf("refused %v, %v", refused, err)
	}
	if s.Effective() {
		t.Error("it has reached the upstream")
	}
}

func ended(t *testing.T, s Subject) {
	r := start(t, s, denying(s.Denied))
	c := login(t, s, r)
	r.guard.End(intercept.ErrRevoked)
	select {
	case err := <-r.ended:
		r.ended <- err
	case <-time.After(patience):
		t.Fatal("Intercept goes on after the Guard has ended")
	}
	if answer, refused, err := c.Do(s.Allowed); err == nil && !refused {
		t.Fatalf("a command ran after the end: %q", answer)
	}
}

func recorderFails(t *testing.T, s Subject) {
	r := start(t, s, denying(s.Denied))
	c := login(t, s, r)
	r.recorder.Fail(errors.New("disk full"))
	if answer, refused, err := c.Do(s.Allowed); err == nil && !refused {
		t.Fatalf("released without a record: %q", answer)
	}
	select {
	case err := <-r.ended:
		r.ended <- err
	case <-time.After(patience):
		t.Fatal("the session goes on without a record")
	}
}

func passwordInside(t *testing.T, s Subject) {
	r := start(t, s, denying(s.Denied))
	c := login(t, s, r)
	for _, command := range []string{s.Allowed, s.Denied} {
		if answer, _, _ := c.Do(command); strings.Contains(answer, s.Password) {
			t.Error("the password is in an answer")
		}
	}
	for _, e := range r.recorder.Entries("suite") {
		if strings.Contains(string(e.Payload), s.Password) {
			t.Errorf("the password is in a record of type %d", e.Type)
		}
	}
}
