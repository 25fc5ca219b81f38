package pgproxy

import (
	"context"
	"errors"
	"time"

	"github.com/headgate/gateway/intercept"
)

// farewell bounds the last words to a client, and to the server.
const farewell = time.Second

// errTooLong says that the server sent a message that can't be held to be judged.
var errTooLong = errors.New("pgproxy: a message of the server is too long to judge")

// errUnread says that a client has said goodbye and does not read what was left for it.
var errUnread = errors.New("pgproxy: the client does not read what it asked for before its goodbye")

// saysGoodbye reports whether a Terminate is among the messages of b.
func saysGoodbye(b []byte) bool {
	for len(b) >= headerSize {
		n, err := bodyLength(b)
		if err != nil || b[0] == msgTerminate {
			return err == nil
		}
		b = b[min(headerSize+n, len(b)):]
	}
	return false
}

// fail ends the session for a fault that the client is told of; the first reason
// counts.
func (s *session) fail(err error) error {
	if s.ended == nil {
		s.fault = err
	}
	return s.end(err)
}

// end ends the session; the first reason counts.
func (s *session) end(err error) error {
	if s.ended == nil {
		s.ended = err
	}
	s.moved.Broadcast()
	return s.ended
}

// lastWord returns, once and recorded, the FATAL error that tells the client why
// the session ends. It is nil where there is nothing to tell, or where the client is in the
// middle of a row.
func (s *session) lastWord() []byte {
	fault := s.fault
	s.fault = nil
	if fault == nil || s.midRow() {
		return nil
	}
	var word []byte
	if errors.Is(fault, errMalformed) {
		word = appendProblem(nil, msgError, problem{
			severity: severityFatal, code: "08P01", message: "headgate: the protocol was violated, the session ends",
		})
	} else {
		word = appendRefusal(nil, severityFatal, s.whyEnded(fault))
	}
	_ = s.guard.Output(0, word) // where the record has failed, that is what the client is told
	return word
}

// whyEnded puts a fault into words that the client may see.
func (s *session) whyEnded(fault error) *intercept.Refusal {
	cause := context.Cause(s.guard.Context())
	switch {
	case cause != nil:
		return intercept.EndedRefusal(cause)
	case errors.Is(fault, intercept.ErrRecorder):
		return intercept.EndedRefusal(fault)
	case errors.Is(fault, errHeld):
		return &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: "the gateway holds as many long rows of other sessions as it may, the session ends", Retryable: true}
	case errors.Is(fault, errTooLong):
		return &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: "an answer of the server is too long to be judged, the session ends"}
	case errors.Is(fault, errUntraced):
		return untraced()
	case errors.Is(fault, errUnmaskable):
		return &intercept.Refusal{Code: intercept.CodeUnmaskable, Reason: "an answer of the server could not be masked, the session ends"}
	default:
		return &intercept.Refusal{Code: intercept.CodeInternal, Reason: "a fault of the gateway, the session ends"}
	}
}
