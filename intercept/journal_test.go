package intercept_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

// types returns the types of a session's entries, in order.
func (r *rig) types() string {
	var names []string
	for _, e := range r.recorder.Entries(session) {
		names = append(names, e.Type.String())
	}
	return strings.Join(names, " ")
}

func TestOrderOfTheRecord(t *testing.T) {
	r := connected(t, answering(policy.Decision{Outcome: policy.Allow, Reasons: []policy.Reason{{Rule: "r"}}}))
	facts := query("").Facts
	for range 2 {
		v := r.Authorize(t.Context(), &policy.Command{Action: policy.ActionQuery, Text: "SELECT 1", Facts: facts})
		if err := errors.Join(r.Output(0, []byte("row")), r.Result(v, intercept.Outcome{Status: "SELECT 1", Rows: 1, Bytes: 3})); err != nil {
			t.Fatal(err)
		}
	}
	const want = "header identity facts command facts command output result command output result"
	if got := r.types(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := r.Snapshot().Counters; got != (policy.Counters{Commands: 3, Rows: 2, Bytes: 6}) {
		t.Errorf("%+v", got)
	}
	if got := r.entries(record.TypeResult); got[1] != `{"n":3,"status":"SELECT 1","rows":1,"bytes":3}` {
		t.Error(got)
	}
}

func TestRecordedBeforeTheVerdictIsReturned(t *testing.T) {
	r := connected(t)
	before := len(r.entries(record.TypeCommand))
	v := r.Authorize(t.Context(), query("SELECT 'né\x00\"'"))
	commands := r.entries(record.TypeCommand)
	if len(commands) != before+1 {
		t.Fatalf("%d entries", len(commands)-before)
	}
	var got struct {
		N       uint64
		Forward bool
		Text    string
	}
	if err := json.Unmarshal([]byte(commands[before]), &got); err != nil || got.N != v.Sequence || !got.Forward || got.Text != "SELECT 'né\x00\"'" {
		t.Errorf("%s: %v", commands[before], err)
	}
}

func TestCommandInTheRecord(t *testing.T) {
	r := connected(t, answering(policy.Decision{Reasons: []policy.Reason{{Rule: "no-ddl", Message: "no"}}}))
	cmd := query("DROP TABLE t")
	cmd.Params = []policy.Param{{Value: "1"}, {Null: true}, {Value: "ff", Binary: true}}
	r.Authorize(t.Context(), cmd)
	const want = `{"n":2,"ref":2,"action":"query","forward":false,"text":"DROP TABLE t",` +
		`"params":[{"value":"1"},{"value":"","null":true},{"value":"ff","binary":true}],` +
		`"refusal":{"code":"policy_denied","rule":"no-ddl","reason":"no","retryable":false}}`
	if got := r.entries(record.TypeCommand); got[1] != want {
		t.Errorf("%s\nwant %s", got[1], want)
	}
	var facts struct {
		Ref      int
		Facts    policy.Facts
		Decision policy.Decision
	}
	if err := json.Unmarshal([]byte(r.entries(record.TypeFacts)[1]), &facts); err != nil || facts.Ref != 2 ||
		facts.Facts.Effects[0].Verb != policy.VerbRead || facts.Decision.Reasons[0].Rule != "no-ddl" {
		t.Errorf("%+v, %v", facts, err)
	}
}

func TestRecorderThatFailsEndsTheSession(t *testing.T) {
	for name, act := range map[string]func(*rig) bool{
		"Authorize": func(r *rig) bool {
			return r.Authorize(context.Background(), query("SELECT 1")).Refused().Code == intercept.CodeRecorder
		},
		"Refuse": func(r *rig) bool {
			return r.Refuse(query("SELECT 1"), &intercept.Refusal{Code: intercept.CodeUnparsable}).Refused().Code == intercept.CodeRecorder
		},
		"Withhold": func(r *rig) bool {
			return r.Withhold(intercept.Verdict{Forward: true, Sequence: 1}, &intercept.Refusal{Code: intercept.CodeUnmaskable}).Refused().Code == intercept.CodeRecorder
		},
		"Output": func(r *rig) bool { return errors.Is(r.Output(0, []byte("x")), intercept.ErrRecorder) },
		"Input":  func(r *rig) bool { return errors.Is(r.Input(0, []byte("x")), intercept.ErrRecorder) },
		"Note":   func(r *rig) bool { return errors.Is(r.Note("x", nil), intercept.ErrRecorder) },
		"Result": func(r *rig) bool {
			return errors.Is(r.Result(intercept.Verdict{Sequence: 1}, intercept.Outcome{}), intercept.ErrRecorder)
		},
	} {
		r := connected(t)
		r.recorder.Fail(errBroken)
		if !act(r) {
			t.Errorf("%s: went on without a record", name)
		}
		if cause := context.Cause(r.Context()); !errors.Is(cause, intercept.ErrRecorder) || !errors.Is(cause, errBroken) {
			t.Errorf("%s: cause %v", name, cause)
		}
		r.recorder.Fail(nil)
		if v := r.Authorize(t.Context(), query("SELECT 1")); v.Forward {
			t.Errorf("%s: the session goes on", name)
		}
	}
}

func TestRecorderThatFailsAtIdentify(t *testing.T) {
	r := newRig(t)
	r.recorder.Fail(errBroken)
	if err := r.Identify(t.Context(), identity.Proof{}); !errors.Is(err, intercept.ErrRecorder) || r.Identity() != nil {
		t.Fatal(err)
	}
	if r.Context().Err() == nil {
		t.Error("the session goes on")
	}
}

// failAt is a Recorder whose log fails, or panics, at its nth entry.
func failAt(m *record.Memory, n int32, failure func() error) record.Recorder {
	return record.RecorderFunc(func(ctx context.Context, h record.Header) (record.Log, error) {
		log, err := m.Open(ctx, h)
		return &failingLog{Log: log, left: n, failure: failure}, err
	})
}

type failingLog struct {
	record.Log
	left    int32
	failure func() error
}

func (l *failingLog) Append(e record.Entry) error {
	if atomic.AddInt32(&l.left, -1) < 0 {
		return l.failure()
	}
	return l.Log.Append(e)
}

// TestRecorderThatFailsAnywhere lets each entry of an approved command fail, in
// turn: it must not be forwarded.
func TestRecorderThatFailsAnywhere(t *testing.T) {
	for _, failure := range []func() error{func() error { return errBroken }, func() error { panic("boom") }} {
		forwarded := 0
		const begun = 3 // identity, facts and command of connecting
		for n := range int32(8) {
			r := connected(t, func(c *intercept.GuardConfig) {
				c.Recorder = failAt(c.Recorder.(*record.Memory), begun+n, failure) //nolint:forcetypeassert // newRig's
				c.Approver = granting(nil)
			}, asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}))
			v := r.Authorize(t.Context(), query("DELETE FROM t"))
			if v.Forward {
				forwarded++
			}
			if whole := strings.HasSuffix(r.types(), "approval approval facts command"); v.Forward != whole {
				t.Errorf("entry %d fails: forward %v with a record of %s", n, v.Forward, r.types())
			}
			if !v.Forward && v.Refused().Code != intercept.CodeRecorder {
				t.Errorf("entry %d fails: %+v", n, v.Refusal)
			}
		}
		if forwarded != 4 {
			t.Errorf("forwarded %d times", forwarded)
		}
	}
}

func TestSealThatFails(t *testing.T) {
	r := connected(t, func(c *intercept.GuardConfig) {
		inner := c.Recorder
		c.Recorder = record.RecorderFunc(func(ctx context.Context, h record.Header) (record.Log, error) {
			log, err := inner.Open(ctx, h)
			return sealless{log}, err
		})
	})
	if err := r.Close(t.Context(), "over"); !errors.Is(err, intercept.ErrRecorder) || !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
}

type sealless struct{ record.Log }

func (sealless) Close(string) error { return errBroken }

func TestWithhold(t *testing.T) {
	r := connected(t, answering(policy.Decision{Outcome: policy.Allow, Masks: []policy.Mask{{Table: "*"}}}))
	v := r.Authorize(t.Context(), query("SELECT 1"))
	w := r.Withhold(v, &intercept.Refusal{Code: intercept.CodeUnmaskable, Reason: "no"})
	refuses(t, w, intercept.CodeUnmaskable)
	if w.Sequence != v.Sequence || w.Revision != v.Revision {
		t.Errorf("%+v", w)
	}
	if got := r.entries(record.TypeResult); len(got) != 1 || got[0] != `{"n":2,"status":"withheld","failure":"unmaskable","rows":0,"bytes":0}` {
		t.Error(got)
	}
	if c := r.Snapshot().Counters; c.Denied != 1 || c.Commands != 2 {
		t.Errorf("%+v", c)
	}
}

func TestRefuse(t *testing.T) {
	asked := 0
	r := connected(t, decide(func(*policy.Input) policy.Decision {
		asked++
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}
	}))
	v := r.Refuse(query("SELEC"), &intercept.Refusal{Code: intercept.CodeUnparsable, Reason: "no"})
	refuses(t, v, intercept.CodeUnparsable)
	if asked != 1 {
		t.Error("the policy was asked")
	}
	if got := r.entries(record.TypeCommand); len(got) != 2 || !strings.Contains(got[1], `"code":"unparsable"`) {
		t.Error(got)
	}
	if c := r.Snapshot().Counters; c.Denied != 1 || c.Commands != 2 {
		t.Errorf("%+v", c)
	}
}

func TestLongCommandIsRecordedWhole(t *testing.T) {
	r := connected(t)
	text := "SELECT '" + strings.Repeat("é\"", record.MaxPayload/2) + "'"
	v := r.Authorize(t.Context(), query(text))
	if !v.Forward {
		t.Fatalf("%+v", v.Refusal)
	}
	var whole strings.Builder
	pieces := 0
	for _, e := range r.recorder.Entries(session) {
		if e.Type == record.TypeInput && e.Stream == 255 {
			whole.Write(e.Payload)
			pieces++
		}
	}
	var command struct{ Text string }
	if err := json.Unmarshal([]byte(whole.String()), &command); err != nil || command.Text != text || pieces < 2 {
		t.Fatalf("%d pieces, %d bytes: %v", pieces, whole.Len(), err)
	}
	var short struct {
		N       uint64
		Forward bool
		Long    int
		SHA256  string
	}
	commands := r.entries(record.TypeCommand)
	if err := json.Unmarshal([]byte(commands[len(commands)-1]), &short); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(whole.String()))
	if short.N != v.Sequence || !short.Forward || short.Long != whole.Len() || short.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v", short)
	}
}

// A command of which more is known than an entry holds is refused, and the session
// goes on.
func TestFactsTooLongToRecord(t *testing.T) {
	r := connected(t)
	facts := &policy.Facts{Opaque: []string{}}
	for i := range 20_000 {
		facts.Effects = append(facts.Effects, policy.Effect{Verb: policy.VerbRead, Kind: "table", Name: fmt.Sprintf("public.some_table_of_many_%d", i)})
	}
	before := r.Snapshot().Counters
	v := r.Authorize(t.Context(), &policy.Command{Action: policy.ActionQuery, Text: "long", Facts: facts})
	if v.Forward || v.Refused().Code != intercept.CodeTooLarge || v.Sequence == 0 {
		t.Fatalf("%+v", v.Refused())
	}
	if after := r.Snapshot().Counters; after.Denied != before.Denied+1 || after.Commands != before.Commands+1 {
		t.Errorf("%+v, before %+v", after, before)
	}
	commands := r.entries(record.TypeCommand)
	if last := commands[len(commands)-1]; !strings.Contains(last, `"code":"too_large"`) || !strings.Contains(last, `"text":"long"`) {
		t.Error(last)
	}
	v = r.Refuse(&policy.Command{Action: policy.ActionQuery, Facts: facts}, &intercept.Refusal{Code: intercept.CodeUnsupported})
	if v.Forward || v.Refused().Code != intercept.CodeUnsupported {
		t.Errorf("%+v", v.Refused())
	}
	if v := r.Authorize(t.Context(), query("SELECT 1")); !v.Forward {
		t.Errorf("%+v", v.Refused())
	}
}

func TestApprovalInTheRecord(t *testing.T) {
	r := connected(t, asks(policy.Decision{Outcome: policy.Allow, Revision: "1"}), approver(granting(nil)))
	r.Authorize(t.Context(), query("DELETE FROM t"))
	var got struct {
		Approval, Digest, ID, Reason string
		Approver                     []policy.Actor
		Scope                        *approve.Scope
	}
	if err := json.Unmarshal([]byte(r.entries(record.TypeApproval)[1]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Approval != "granted" || len(got.Digest) != 64 || got.ID != "a1" || got.Reason != "backed up" || got.Approver[0].Subject != "ann" || got.Scope == nil {
		t.Errorf("%+v", got)
	}
	if got := r.types(); !strings.HasSuffix(got, "approval approval facts command") {
		t.Error(got)
	}
}

func TestPrompt(t *testing.T) {
	recorder := func(log record.Log) change {
		return func(c *intercept.GuardConfig) {
			c.Recorder = record.RecorderFunc(func(context.Context, record.Header) (record.Log, error) { return log, nil })
		}
	}
	for _, r := range []*rig{newRig(t), connected(t, recorder(nowhere{})), connected(t, recorder(prompter(false)))} {
		if r.Prompt() {
			t.Error("prompt without a log that says so")
		}
	}
	if !connected(t, recorder(prompter(true))).Prompt() {
		t.Error("a log that is prompt isn't")
	}
}

type prompter bool

func (prompter) Append(record.Entry) error { return nil }
func (prompter) Close(string) error        { return nil }
func (p prompter) Prompt() bool            { return bool(p) }
