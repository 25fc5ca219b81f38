package record

import (
	"fmt"
	"strings"
	"time"
)

// A Report says how far a log can be trusted. Only a log for which Err returns
// nil is complete and unchanged. The zero Report is not that.
type Report struct {
	// Sealed: the log ends with a signed seal, so nothing is missing.
	Sealed bool
	// Records counts the good records, the header and the seal included.
	Records uint64
	// VerifiedThrough is the last record that is a signed checkpoint or the seal:
	// everything up to it is what the signer wrote. -1 means that nothing is.
	VerifiedThrough int64
	// TaggedThrough is the last record that the root key proves; -1 means none,
	// as when no root key was given.
	TaggedThrough int64
	// Keyed says that the log has tags that need the root key.
	Keyed bool
	// Torn counts the bytes behind the last whole record of an unsealed log.
	Torn int64
	// Lost counts the entries that best-effort recording says it dropped.
	Lost uint64
	// Header is the session, proven if VerifiedThrough is not negative.
	Header Header
	// Reason is why the log was closed; Last is the time of its last record.
	Reason string
	Last   time.Time
	FileID [16]byte
	KeyID  KeyID
	// Problem is the first thing found wrong, nil if there is none. A log that
	// only lacks its end has no Problem.
	Problem *Problem
}

// Err returns nil for a sealed log without a problem. Otherwise it returns the
// Problem, or an error that wraps ErrUnsealed.
func (r Report) Err() error {
	if r.Problem != nil {
		return r.Problem
	}
	if !r.Sealed {
		return fmt.Errorf("%w: %s", ErrUnsealed, r.unsealed())
	}
	return nil
}

func (r Report) unsealed() string {
	if r.Records == 0 {
		return "empty"
	}
	return fmt.Sprintf("good up to record %d, checkpoint at %d", r.Records-1, r.VerifiedThrough)
}

// String returns the report for a human, a few lines without a control character
// that the log could have brought in.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.verdict())
	if r.VerifiedThrough >= 0 {
		fmt.Fprintf(&b, "session %s, target %s (%s), started %s\n", Sanitize(r.Header.Session),
			Sanitize(r.Header.Target), Sanitize(r.Header.Protocol), r.Header.Started.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "%d good records, signed through %d by key %s\n", r.Records, r.VerifiedThrough, r.KeyID)
	if r.Keyed && r.TaggedThrough >= 0 {
		fmt.Fprintf(&b, "tags proven through %d\n", r.TaggedThrough)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "%d entries were lost while recording\n", r.Lost)
	}
	return b.String()
}

func (r Report) verdict() string {
	switch {
	case r.Problem != nil:
		return "DAMAGED: " + r.Problem.Error()
	case r.Sealed:
		return "OK: sealed (" + Sanitize(r.Reason) + ")"
	case r.Torn > 0:
		return fmt.Sprintf("UNSEALED: %s, %d bytes of an unfinished write behind it; the writer crashed or the end was cut off",
			r.unsealed(), r.Torn)
	default:
		return "UNSEALED: " + r.unsealed() + "; the writer crashed, still runs, or the end was cut off"
	}
}
