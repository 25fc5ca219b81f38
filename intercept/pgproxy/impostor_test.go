package pgproxy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// An impostor stands in front of a real server and says what it likes in its place.
type impostor struct {
	passage

	// lie is what it says now, nil for what the server does.
	lie atomic.Pointer[lie]
}

// A lie is told in the place of one message of the server's.
type lie struct {
	name string
	// at is the type of the message, skip how many such come before it.
	at   byte
	skip int
	// tell returns what is said in place of the message.
	tell func(message []byte) []byte
	// forever repeats it until nobody listens; hangsUp says nothing after it.
	forever, hangsUp bool

	seen int
}

func newImpostor(t *testing.T) *impostor {
	t.Helper()
	i := new(impostor)
	i.begin(t, i.answer, func() {})
	return i
}

func (i *impostor) answer(near, far net.Conn) {
	for {
		message, err := readMessage(far)
		if err != nil || i.pass(near, message) != nil {
			return
		}
	}
}

// pass sends a message of the server's on, or what is said in its place.
func (i *impostor) pass(near net.Conn, message []byte) error {
	l := i.lie.Load()
	if l == nil || message[0] != l.at {
		_, err := near.Write(message)
		return err
	}
	if l.seen++; l.seen-1 != l.skip {
		_, err := near.Write(message)
		return err
	}
	told := l.tell(message)
	for {
		if _, err := near.Write(told); err != nil {
			return err
		}
		if l.hangsUp {
			return io.EOF
		}
		if !l.forever {
			return nil
		}
	}
}

var errNoMessage = errors.New("that is no message")

// readMessage reads one message, with its header.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > 1<<30 {
		return nil, errNoMessage
	}
	message := bytes.NewBuffer(head)
	_, err := io.CopyN(message, r, int64(n)-4)
	return message.Bytes(), err
}

// said is a message.
func said(typ byte, body string) []byte { return saidToBe(typ, len(body)+4, body) }

// saidToBe is a message that says to be of some length.
func saidToBe(typ byte, length int, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(length)), body...)
}
