package intercept

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// The payloads that a Guard writes to a session's record. Facts and decisions
// repeat, so each pair is written once, as TypeFacts, and commands refer to it
// by number: together they hold the policy's full input.

// maxPooled bounds the buffers that are kept for the next entry.
const maxPooled = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// recordCommand puts the command and its verdict into the record. If it fails
// the session ends.
func (g *Guard) recordCommand(cmd *policy.Command, d policy.Decision, v Verdict) error {
	ref, err := g.recordFacts(cmd.Facts, d)
	if err != nil {
		return err
	}
	pb := buffers.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	defer buffers.Put(pb)
	b, err := appendCommand((*pb)[:0], cmd, ref, v)
	if err != nil {
		return g.fail(err)
	}
	if cap(b) <= maxPooled {
		*pb = b
	}
	g.Echo().Redact(b) // an agent may have guessed it
	if len(b) > record.MaxPayload {
		return g.recordLong(cmd, ref, v, b)
	}
	return g.keep(record.TypeCommand, 0, b)
}

// longStream is the stream of input entries that hold a command's payload which
// does not fit into one entry.
const longStream = 255

// recordLong puts a long command into the record: its payload as input entries,
// and behind them the command with the payload's length and SHA-256 in place of
// text and parameters.
func (g *Guard) recordLong(cmd *policy.Command, ref int, v Verdict, payload []byte) error {
	if err := g.keep(record.TypeInput, longStream, payload); err != nil {
		return err
	}
	short, err := json.Marshal(struct {
		N       uint64   `json:"n"`
		Ref     int      `json:"ref"`
		Action  string   `json:"action"`
		Forward bool     `json:"forward"`
		Long    int      `json:"long"`
		SHA256  string   `json:"sha256"`
		Refusal *Refusal `json:"refusal,omitempty"`
	}{v.Sequence, ref, cmd.Action, v.Forward, len(payload), fmt.Sprintf("%x", sha256.Sum256(payload)), v.Refusal})
	if err != nil {
		return g.fail(err)
	}
	return g.append(record.TypeCommand, 0, short)
}

// appendCommand writes the payload of record.TypeCommand:
//
//	{"n":7,"ref":2,"action":"query","forward":true,"text":"…","params":[…],"refusal":{…}}
func appendCommand(b []byte, cmd *policy.Command, ref int, v Verdict) ([]byte, error) {
	b = append(b, `{"n":`...)
	b = strconv.AppendUint(b, v.Sequence, 10)
	b = append(b, `,"ref":`...)
	b = strconv.AppendInt(b, int64(ref), 10)
	b = append(b, `,"action":`...)
	b = appendJSONString(b, cmd.Action)
	b = append(b, `,"forward":`...)
	b = strconv.AppendBool(b, v.Forward)
	b = append(b, `,"text":`...)
	b = appendJSONString(b, cmd.Text)
	if len(cmd.Params) > 0 {
		params, err := json.Marshal(cmd.Params)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"params":`...), params...)
	}
	if !v.Forward {
		b = append(append(b, `,"refusal":`...), v.Refused().JSON()...)
	}
	return append(b, '}'), nil
}

// Refuse records a command that the interceptor itself refuses, without asking
// the policy, as what it can't parse or doesn't carry. The returned Verdict
// refuses, with CodeInternal if r is nil.
func (g *Guard) Refuse(cmd *policy.Command, r *Refusal) Verdict {
	r = Verdict{Refusal: r}.Refused()
	if cmd == nil {
		return Verdict{Refusal: r}
	}
	return g.settle(g.cfg.Now(), cmd, policy.Decision{}, r)
}

// Withhold takes back a Verdict that forwards, before anything was sent, because
// the interceptor can't apply its masks. The returned Verdict refuses.
func (g *Guard) Withhold(v Verdict, r *Refusal) Verdict {
	r = Verdict{Refusal: r}.Refused()
	g.counters.denied.Add(1)
	if err := g.Result(v, Outcome{Status: "withheld", Failure: r.Code}); err != nil {
		r = &Refusal{Code: CodeRecorder, Reason: "the session's record could not be kept"}
	}
	return Verdict{Refusal: r, Revision: v.Revision, Sequence: v.Sequence}
}

// An Outcome is how a forwarded command ended.
type Outcome struct {
	// Status is the protocol's own word, as "SELECT 3" or "exit 0".
	Status string
	// Failure is the protocol's code of an error, as an SQLSTATE; "" for none.
	Failure string
	Rows    int64
	// Bytes is how much was released to the client.
	Bytes int64
}

// Result records how the command of a verdict ended and counts it. An error
// means that the record can't be kept and the session ends, or that v is not the
// Verdict of a command.
func (g *Guard) Result(v Verdict, o Outcome) error {
	if v.Sequence == 0 {
		return ErrOutOfOrder
	}
	g.counters.rows.Add(o.Rows)
	g.counters.bytes.Add(o.Bytes)
	pb := buffers.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	defer buffers.Put(pb)
	b := append((*pb)[:0], `{"n":`...)
	b = strconv.AppendUint(b, v.Sequence, 10)
	b = append(b, `,"status":`...)
	b = appendJSONString(b, o.Status)
	if o.Failure != "" {
		b = append(b, `,"failure":`...)
		b = appendJSONString(b, o.Failure)
	}
	b = append(b, `,"rows":`...)
	b = strconv.AppendInt(b, o.Rows, 10)
	b = append(b, `,"bytes":`...)
	b = append(strconv.AppendInt(b, o.Bytes, 10), '}')
	if cap(b) <= maxPooled {
		*pb = b
	}
	return g.append(record.TypeResult, 0, b)
}

// Output records bytes that are about to be released to the client, masked. It
// must return nil before they are. stream tells the protocol's streams apart.
//
// Output overwrites in p, with as many other bytes, what the gateway itself has
// injected upstream: send p, not a copy made before. An appearance that is cut in
// two by calls is not found; see Echo.
func (g *Guard) Output(stream uint8, p []byte) error {
	g.Echo().Redact(p)
	return g.keep(record.TypeOutput, stream, p)
}

// Input records bytes from the client that are not commands, before they are
// forwarded.
func (g *Guard) Input(stream uint8, p []byte) error {
	return g.append(record.TypeInput, stream, p)
}

// Note records anything else worth knowing, under a stable name. It must hold no
// secret.
func (g *Guard) Note(name string, detail map[string]string) error {
	payload, err := json.Marshal(struct {
		Event  string            `json:"event"`
		Detail map[string]string `json:"detail,omitempty"`
	}{name, detail})
	if err != nil {
		return g.fail(err)
	}
	return g.append(record.TypeEvent, 0, payload)
}

func (g *Guard) noteApproval(what, digest string, grant approve.Grant) error {
	payload, err := json.Marshal(struct {
		Approval string         `json:"approval"`
		Digest   string         `json:"digest"`
		ID       string         `json:"id,omitempty"`
		Approver []policy.Actor `json:"approver,omitempty"`
		Reason   string         `json:"reason,omitempty"`
		Scope    *approve.Scope `json:"scope,omitempty"`
	}{what, digest, grant.ID, approverOf(grant), grant.Reason, scopeOf(grant)})
	if err != nil {
		return g.fail(err)
	}
	return g.append(record.TypeApproval, 0, payload)
}

func approverOf(g approve.Grant) []policy.Actor {
	if g.Approver.Subject == "" {
		return nil
	}
	return g.Approver.Principals()
}

func scopeOf(g approve.Grant) *approve.Scope {
	if g.ID == "" {
		return nil
	}
	return &g.Scope
}

// append keeps an entry, without the credential in it, or ends the session.
func (g *Guard) append(t record.Type, stream uint8, payload []byte) error {
	return g.keep(t, stream, g.Echo().redacted(payload))
}

// keep keeps an entry as it is, or ends the session.
func (g *Guard) keep(t record.Type, stream uint8, payload []byte) error {
	if g.log == nil {
		return ErrOutOfOrder
	}
	if err := keep(g.log, record.Entry{Type: t, Stream: stream, Payload: payload}); err != nil {
		return g.fail(err)
	}
	return nil
}

func keep(log record.Log, e record.Entry) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recorder panicked: %v", r)
		}
	}()
	return log.Append(e)
}
