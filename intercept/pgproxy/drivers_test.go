package pgproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// driver is the way in which a session's bytes are moved.
type driver int

const (
	onGoroutines driver = iota // plain sockets, a record that may wait for its storage
	onReactor                  // plain sockets, a record that does not
	overTLS                    // goroutines, TLS to the client
	onReactorTLS               // TLS to the client, a record that does not wait
)

// eachDriver runs a test on goroutines, and on the reactor with and without TLS.
func eachDriver(t *testing.T, test func(t *testing.T, d driver)) {
	t.Run("reactor", func(t *testing.T) { test(t, onReactor) })
	t.Run("tls", func(t *testing.T) { test(t, overTLS) })
	t.Run("reactor-tls", func(t *testing.T) { test(t, onReactorTLS) })
}

// choose sets up what the driver of the rig needs.
func (r *rig) choose(c *rigConfig) {
	if c.driver == onReactor || c.driver == onReactorTLS {
		c.recorder = prompting(c.recorder)
	} else {
		c.recorder = patient(c.recorder)
	}
	if c.driver == overTLS || c.driver == onReactorTLS {
		r.ca = testserver.NewCA(r.t)
		r.caFile = filepath.Join(r.t.TempDir(), "ca.crt")
		if err := os.WriteFile(r.caFile, r.ca.PEM, 0o600); err != nil {
			r.t.Fatal(err)
		}
		c.proxy.TLS = &tls.Config{Certificates: []tls.Certificate{r.ca.Server(r.t).TLS(r.t)}, MinVersion: tls.VersionTLS13}
	}
}

// prompting makes logs say that they do not wait for their storage, which is true
// of those in memory.
func prompting(in record.Recorder) record.Recorder {
	return record.RecorderFunc(func(ctx context.Context, h record.Header) (record.Log, error) {
		l, err := in.Open(ctx, h)
		if err != nil {
			return nil, err
		}
		return promptLog{l}, nil
	})
}

// patient makes logs not say whether they wait, so that goroutines carry the session.
func patient(in record.Recorder) record.Recorder {
	return record.RecorderFunc(func(ctx context.Context, h record.Header) (record.Log, error) {
		l, err := in.Open(ctx, h)
		return struct{ record.Log }{l}, err
	})
}

type promptLog struct{ record.Log }

func (promptLog) Prompt() bool { return true }

func TestDriverIsTheOneMeant(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		conn := r.connect(t)
		if err := conn.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
			t.Fatal(err)
		}
		pumped := strings.Contains(stacks.String(), "pumpServer")
		if want := d == overTLS; pumped != want {
			t.Fatalf("on goroutines: %v, want %v", pumped, want)
		}
	})
}

// denyingExecution lets statements be prepared and denies running those that have
// one of the verbs.
func denyingExecution(verbs ...string) policy.Evaluator {
	deny := denying(verbs...)
	return policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Command.Action == policy.ActionPrepare {
			return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
		}
		return deny.Evaluate(ctx, in)
	})
}

// asking asks a human about what has one of the verbs. A redeemed approval allows.
func asking(verbs ...string) policy.Evaluator {
	ask := deciding(policy.Ask, verbs...)
	return policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
		if in.Approval != nil {
			return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
		}
		return ask.Evaluate(ctx, in)
	})
}

// forgetting is a recorder that keeps nothing, for results that are too large to
// be kept in memory.
func forgetting() record.Recorder {
	return record.RecorderFunc(func(context.Context, record.Header) (record.Log, error) { return nowhere{}, nil })
}

type nowhere struct{}

func (nowhere) Append(e record.Entry) error { return record.CheckEntry(e) }
func (nowhere) Close(string) error          { return nil }
