package record

import (
	"fmt"
	"strconv"
)

var typeNames = [...]string{
	TypeHeader: "header", TypeIdentity: "identity", TypeFacts: "facts",
	TypeCommand: "command", TypeResult: "result", TypeOutput: "output",
	TypeInput: "input", TypeApproval: "approval", TypeEvent: "event",
	TypeLoss: "loss", TypeCheckpoint: "checkpoint", TypeSeal: "seal",
}

// String returns the type's name in lower case, "type(n)" for an unknown one.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// splittable reports whether payloads of t are a stream of bytes, whose division
// into entries means nothing.
func (t Type) splittable() bool { return t == TypeOutput || t == TypeInput }

// CheckEntry says why a Log must refuse e: its type is not one that callers
// write (header, loss, checkpoint and seal are the log's own), or its payload is
// over MaxPayload and can't be split. Implementations of Log call it first.
func CheckEntry(e Entry) error {
	if e.Type < TypeIdentity || e.Type > TypeEvent {
		return fmt.Errorf("%w: %v", ErrType, e.Type)
	}
	if len(e.Payload) > MaxPayload && !e.Type.splittable() {
		return fmt.Errorf("%w: %d bytes of %v", ErrTooLarge, len(e.Payload), e.Type)
	}
	return nil
}
