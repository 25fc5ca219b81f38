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
	// Records counts the whole records in front of the first problem, the header
	// and the seal included. Those that Proven does not count have good checksums,
	// which anybody can make.
	Records uint64
	// Proven counts the records at the beginning that a signature covers, or a
	// tag if the root key was given: these are what the recorder wrote. It is one
	// more than the larger of VerifiedThrough and TaggedThrough, up to Records.
	Proven uint64
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
	// Lost counts the entries that best-effort recording says it dropped, in
	// records that are proven or not.
	Lost uint64
	// Unsynced counts the bytes that best-effort recording says its storage did not
	// make durable. They are there if the log is whole.
	Unsynced uint64
	// Header is the session, proven if VerifiedThrough is not negative.
	Header Header
	// Reason is why the log was closed; Last is the time of its last record, which
	// need not be proven.
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
	return r.proof()
}

// proof says which records are proven, and by what.
func (r Report) proof() string {
	var b strings.Builder
	switch {
	case r.Proven == 0:
		b.WriteString("nothing is proven")
	case r.TaggedThrough > r.VerifiedThrough:
		fmt.Fprintf(&b, "proven through %d (root key)", r.TaggedThrough)
	case r.Sealed:
		fmt.Fprintf(&b, "proven through %d (seal)", r.VerifiedThrough)
	default:
		fmt.Fprintf(&b, "proven through %d (checkpoint)", r.VerifiedThrough)
	}
	switch n := r.Records - min(r.Proven, r.Records); n {
	case 0:
	case 1:
		b.WriteString("; 1 record behind it is not proven")
	default:
		fmt.Fprintf(&b, "; %d records behind it are not proven", n)
	}
	return b.String()
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
	fmt.Fprintf(&b, "%d records, %d of them proven, signed through %d by key %s\n", r.Records, r.Proven, r.VerifiedThrough, r.KeyID)
	if r.Keyed && r.TaggedThrough >= 0 {
		fmt.Fprintf(&b, "tags proven through %d\n", r.TaggedThrough)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "%d entries were lost while recording\n", r.Lost)
	}
	if r.Unsynced > 0 {
		fmt.Fprintf(&b, "%d bytes were in doubt while recording: a sync failed\n", r.Unsynced)
	}
	return b.String()
}

func (r Report) verdict() string {
	switch {
	case r.Problem != nil:
		return "DAMAGED: " + r.Problem.Error() + "; " + r.proof()
	case r.Sealed:
		return "OK: sealed (" + Sanitize(r.Reason) + ")"
	case r.Torn > 0:
		return fmt.Sprintf("UNSEALED: %s; %d bytes of an unfinished write at the end; the writer crashed or the end was cut off",
			r.unsealed(), r.Torn)
	default:
		return "UNSEALED: " + r.unsealed() + "; the writer crashed, still runs, or the end was cut off"
	}
}
