package pgproxy

import (
	"encoding/binary"
	"fmt"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// copyIn is the state of COPY FROM STDIN. The server changes the meaning of the
// client's messages when it begins to read rows, so the gateway lets nothing pass
// between a statement that makes it do so and the server's word that it does.
type copyIn struct {
	// expected counts the statements, of the message that is last in the queue, for
	// which the server has not asked for rows yet.
	expected int
	// active says that the server reads rows, as far as is known; both that it sends its
	// log meanwhile, and that they are a standby's replies.
	active, both bool
	// serial numbers the messages that can make the server ask for rows. The state is
	// about the last of them.
	serial uint64
	// left is how many bytes of a long CopyData are to come.
	left int
	// counter counts the rows, nil where that is not asked for.
	counter *copystream.Counter
	// waiting is data that could end in the beginning of a secret of the gateway's own,
	// which must be recorded in one piece to be found; shown is what may be recorded.
	echo           *intercept.EchoStream
	waiting, shown []byte
}

// minPiece is the length from which a CopyData of the client that is not there
// yet is passed on in pieces.
const minPiece = 8 << 10

// copiesIn counts the statements for which the server asks for rows.
func (r *resolved) copiesIn() int {
	n := 0
	for _, t := range r.traced {
		if t.statement.Copy == sqlfacts.CopyFromStdin {
			n++
		}
	}
	return n
}

// expectCopyIn notes that what is about to be sent makes the server ask for rows.
func (s *session) expectCopyIn(e *entry, r *resolved) {
	n := r.copiesIn()
	if e.stream == streamLog || e.stream == streamManifest {
		n = 1
	}
	if n > 0 {
		s.copyIn.serial++
		e.copyIn = s.copyIn.serial
		s.copyIn.expected, s.copyIn.active = n, false
	}
}

// copyInDecided returns what to wait for until it is known how the server takes
// the client's next message.
func (s *session) copyInDecided() *wait {
	decided := func() bool { return s.copyIn.active || s.copyIn.expected == 0 }
	if decided() {
		return nil
	}
	return s.waitFor(decided)
}

// copyInBegins notes that the server asks for rows.
func (s *session) copyInBegins(e *entry, body []byte) error {
	if _, _, err := parseCopyResponse(body); err != nil {
		return err
	}
	if e.copyIn != s.copyIn.serial || s.copyIn.expected == 0 || s.copyIn.active || e.stream != streamManifest && !e.run.isCopy(sqlfacts.CopyFromStdin) {
		return unexpected(msgCopyInResponse)
	}
	s.copyIn.expected--
	s.copyIn.active = true
	s.copyIn.echo, s.copyIn.waiting, s.copyIn.shown = s.guard.Echo().Stream(), nil, nil
	s.moved.Broadcast()
	if e.over == nil {
		return s.countCopyIn(e.run)
	}
	s.outgoing.change() // it asks while it is being stopped
	s.failCopyIn()
	return nil
}

// copyInOver notes that a message which could make the server ask for rows has
// been answered, or failed. What the client still sends of them is dropped, as the
// server drops it.
func (s *session) copyInOver(e *entry) {
	if e.copyIn == 0 {
		return
	}
	last := e.copyIn == s.copyIn.serial
	if e.copyIn = 0; last {
		s.copyIn.expected, s.copyIn.active, s.copyIn.both = 0, false, false
		s.moved.Broadcast()
	}
}

// copyInMessage treats the client's bytes while the server reads rows. It returns
// how many it has consumed; zero asks for more of them.
func (s *session) copyInMessage(in []byte) (used int, err error) {
	typ := in[0]
	n, err := bodyLength(in)
	if err != nil {
		return 0, err
	}
	whole := len(in) >= headerSize+n
	switch typ {
	case msgCopyData:
		if !whole && n < minPiece {
			return 0, nil
		}
		used = min(len(in), headerSize+n)
		s.copyIn.left = headerSize + n - used
		return used, s.copyInRows(in[headerSize:used])
	case msgCopyDone, msgCopyFail, msgSync, msgFlush:
		if !whole && n <= s.proxy.cfg.MaxMessageBytes {
			return 0, nil
		}
	}
	switch {
	case typ == msgSync && n == 0, typ == msgFlush && n == 0:
		return headerSize, nil // the server ignores it, too
	case typ == msgCopyDone && n == 0 && s.copyInExceeds(0, s.copyIn.counter.End()):
		return headerSize, nil
	case typ == msgCopyDone && n == 0, typ == msgCopyFail && whole:
		return headerSize + n, s.endCopyIn(in[:headerSize+n])
	}
	return s.copyInBroken(typ, n), nil
}

// copyInBroken makes the server answer to a message that has no place among rows:
// it fails at the type, before it reads the rest, and gives the connection up. The
// message itself is not judged and goes nowhere.
func (s *session) copyInBroken(typ byte, n int) (used int) {
	s.toServer = append(s.toServer, typ, 0, 0, 0, 4)
	s.copyIn.active, s.copyIn.expected = false, 1 // nothing passes any more
	s.oversize = headerSize + n
	return 0
}

// copyInRest treats what is left of a long CopyData.
func (s *session) copyInRest(in []byte) (used int, err error) {
	used = min(s.copyIn.left, len(in))
	s.copyIn.left -= used
	if !s.copyIn.active || used == 0 {
		return used, nil // the COPY has failed meanwhile
	}
	return used, s.copyInRows(in[:used])
}

// copyInRows records data of the client and passes it on. How rows are spread over
// messages has no meaning (manual, "COPY Operations").
func (s *session) copyInRows(data []byte) error {
	if len(data) == 0 || s.copyInExceeds(len(data), s.copyIn.counter.Add(data)) {
		return nil
	}
	c := &s.copyIn
	c.waiting = append(c.waiting, data...)
	c.shown = c.echo.Next(c.shown[:0], data)
	return s.passCopyIn()
}

// passCopyIn records what may be shown of the waiting data, and sends it.
func (s *session) passCopyIn() error {
	c := &s.copyIn
	n := len(c.shown)
	if n == 0 {
		return nil
	}
	if err := s.guard.Input(0, c.shown); err != nil {
		return err
	}
	s.toServer = binary.BigEndian.AppendUint32(append(s.toServer, msgCopyData), uint32(n+headerSize-1))
	s.toServer = append(s.toServer, c.waiting[:n]...)
	c.waiting = append(c.waiting[:0], c.waiting[n:]...)
	return nil
}

// endCopyIn sends what still waits of the data, and the message that ends it.
func (s *session) endCopyIn(msg []byte) error {
	s.copyIn.shown = s.copyIn.echo.Rest(s.copyIn.shown[:0])
	if err := s.passCopyIn(); err != nil {
		return err
	}
	s.toServer = append(s.toServer, msg...)
	s.copyIn.active = false
	s.copyIn.waiting, s.copyIn.shown = nil, nil
	return nil
}

// parseCopyResponse parses the body of CopyInResponse, CopyOutResponse and
// CopyBothResponse: the format, 0 for lines and 1 for binary, and the number of
// columns, of which all have that format.
func parseCopyResponse(body []byte) (format byte, columns int, err error) {
	if len(body) < 3 || body[0] > 1 {
		return 0, 0, fmt.Errorf("%w: response to COPY", errMalformed)
	}
	columns, rest, _ := cutInt16(body[1:])
	if columns < 0 || len(rest) != 2*columns {
		return 0, 0, fmt.Errorf("%w: response to COPY", errMalformed)
	}
	for i := range columns {
		if f, _, _ := cutInt16(rest[2*i:]); f != int(body[0]) {
			return 0, 0, fmt.Errorf("%w: formats of COPY", errMalformed)
		}
	}
	return body[0], columns, nil
}
