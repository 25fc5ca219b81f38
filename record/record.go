// Package record is the port through which Headgate keeps what a session did, so
// that it can be replayed and proven: an append-only log per session, chained,
// signed and sealed. docs/record-format.md specifies the format byte by byte.
//
// Dir writes logs to a local directory; Memory keeps them for tests. Package
// recordtest holds the suite for other implementations. This package imports the
// standard library only.
package record

import (
	"context"
	"errors"
	"time"
)

// A Recorder opens the log of a session. Open fails if a log of that id exists.
// It is called concurrently.
type Recorder interface {
	Open(ctx context.Context, h Header) (Log, error)
}

// RecorderFunc makes a Recorder of a function. A nil RecorderFunc fails.
type RecorderFunc func(ctx context.Context, h Header) (Log, error)

// Open calls f.
func (f RecorderFunc) Open(ctx context.Context, h Header) (Log, error) {
	if f == nil {
		return nil, ErrNoRecorder
	}
	return f(ctx, h)
}

// A Log is the open log of one session. When Append returns nil the entry is
// kept, as durably as the Recorder promises; when it fails, every later Append
// fails too and the session must end: nothing that is not in the log may be sent
// or released. Append never blocks for longer than the Recorder's stall limit.
//
// Append does not keep e.Payload after it returns. A Log is safe for concurrent
// use; entries are in the order in which Append took them.
type Log interface {
	Append(e Entry) error
	// Close seals the log. It acts once; Append fails after it.
	Close(reason string) error
}

// A Prompter is a Log that can tell whether Append returns without waiting for the
// storage, as long as the storage keeps up.
type Prompter interface {
	Log
	Prompt() bool
}

// Header describes the session that a log belongs to. It is the first entry.
type Header struct {
	// Session is the id, a file-name safe string of at most 64 bytes.
	Session  string            `json:"session"`
	Started  time.Time         `json:"started"`
	Target   string            `json:"target"`
	Protocol string            `json:"protocol"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// An Entry is one thing that happened.
type Entry struct {
	Type Type
	// Stream tells streams of one direction apart, as stdout and stderr; zero is
	// the only one.
	Stream uint8
	// Time is when it happened; zero means now, by the log's clock.
	Time time.Time
	// Payload is the content: JSON for events, raw bytes for Output and Input.
	Payload []byte
}

// Type says what an entry is. The zero Type is invalid and refused by Append.
type Type uint8

// The types of entries. Values are part of the format and never change.
const (
	TypeHeader     Type = 1  // JSON Header
	TypeIdentity   Type = 2  // JSON: who it is, once verified
	TypeFacts      Type = 3  // JSON: facts that later commands refer to by number
	TypeCommand    Type = 4  // JSON: a command with its decision, before it is sent
	TypeResult     Type = 5  // JSON: how a command ended
	TypeOutput     Type = 6  // bytes released to the client, masked
	TypeInput      Type = 7  // bytes from the client that are not commands
	TypeApproval   Type = 8  // JSON: an approval asked for, granted, refused
	TypeEvent      Type = 9  // JSON: anything else, as revocation
	TypeLoss       Type = 10 // JSON: entries that were lost, best-effort mode only
	TypeCheckpoint Type = 11 // written by the log itself
	TypeSeal       Type = 12 // written by the log itself, last
)

// Errors that callers can test for.
var (
	ErrNoRecorder = errors.New("record: no recorder")
	ErrClosed     = errors.New("record: log is closed")
	// ErrStalled says that the storage did not take entries within the limit.
	ErrStalled = errors.New("record: storage stalled")
	// ErrExists says that there is a log of that session id already.
	ErrExists = errors.New("record: log exists")
	// ErrSession says that a session id can't name a log; see CheckSession.
	ErrSession = errors.New("record: session id not usable")
	// ErrType says that an entry is of a type that callers may not write.
	ErrType = errors.New("record: type not allowed")
	// ErrTooLarge says that a payload is over MaxPayload.
	ErrTooLarge = errors.New("record: entry too large")
	// ErrUnsealed says that a log ends without a seal: its writer crashed, still
	// runs, or the end was cut off.
	ErrUnsealed = errors.New("record: log is not sealed")
)
