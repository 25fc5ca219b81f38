package record

import (
	"fmt"
	"strconv"
)

// A ProblemKind says what is wrong with a log.
type ProblemKind string

// The kinds of problems. Each is a reason not to trust the log from the record
// that the Problem names.
const (
	ProblemNotALog   ProblemKind = "not a log"
	ProblemVersion   ProblemKind = "unknown version"
	ProblemMalformed ProblemKind = "malformed"
	// ProblemCorrupt: the checksum of a complete record does not fit.
	ProblemCorrupt ProblemKind = "corrupt"
	// ProblemSequence: a record is missing, doubled, inserted or out of order.
	ProblemSequence ProblemKind = "out of sequence"
	// ProblemChain: a record is whole but not the one that was written here.
	ProblemChain ProblemKind = "chain broken"
	// ProblemSignature: a checkpoint or the seal does not sign what comes before.
	ProblemSignature ProblemKind = "bad signature"
	// ProblemUnsigned: not even the header is signed, so that the log can't be
	// attributed to anybody.
	ProblemUnsigned ProblemKind = "unsigned"
	// ProblemTrailing: there are bytes behind the seal.
	ProblemTrailing ProblemKind = "bytes after the seal"
	// ProblemKey: no key was given that fits, or the log is not keyed although a
	// root key was given.
	ProblemKey ProblemKind = "key"
	// ProblemSession: the log belongs to another session than it should.
	ProblemSession ProblemKind = "other session"
	// ProblemRead: the log could not be read to its end.
	ProblemRead ProblemKind = "read error"
)

// A Problem is why a log is not good. It is an error.
type Problem struct { //nolint:errname // it is a finding first
	Kind ProblemKind
	// Seq is the record at which it shows, 0 for the file as a whole. What a bad
	// signature covers starts behind Report.VerifiedThrough.
	Seq    uint64
	Detail string
	// Err is the cause, nil if there is none.
	Err error
}

// Error says what and where.
func (p *Problem) Error() string {
	s := "record: " + string(p.Kind) + " at record " + strconv.FormatUint(p.Seq, 10)
	if p.Detail != "" {
		s += ": " + Sanitize(p.Detail)
	}
	if p.Err != nil {
		s = fmt.Sprintf("%s: %v", s, p.Err)
	}
	return s
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }
