package pgproxy

import (
	"fmt"

	"github.com/headgate/gateway/intercept/pgproxy/internal/walcommand"
)

// A streamKind is what follows a command of replication, beside rows.
type streamKind uint8

const (
	// streamNone is that of everything else.
	streamNone streamKind = iota
	// streamRows are rows only.
	streamRows
	// streamLog is the log, while the standby replies.
	streamLog
	// streamBackup is a copy of the server's files.
	streamBackup
	// streamManifest is the list of an earlier backup's files, from the client.
	streamManifest
)

func streamOf(c *walcommand.Command) streamKind {
	switch c.Name {
	case walcommand.Start:
		return streamLog
	case walcommand.BaseBackup:
		return streamBackup
	case walcommand.UploadManifest:
		return streamManifest
	default:
		return streamRows
	}
}

// begins looks at the beginning of a CopyData of the server's. It reports whether
// there was enough of it.
func (k streamKind) begins(data []byte) (bool, error) {
	if len(data) == 0 {
		return false, nil
	}
	if _, ok := k.leastLength(data[0]); !ok {
		return false, fmt.Errorf("%w: %q in a replication stream", errMalformed, data[0])
	}
	return true, nil
}

// leastLength returns the length of the fixed part of a message within CopyData
// (manual, "Streaming Replication Protocol"), and whether there is one of that type.
func (k streamKind) leastLength(typ byte) (n int, ok bool) {
	switch {
	case k == streamLog && typ == 'w': // a piece of the log
		return 1 + 8 + 8 + 8, true
	case k == streamLog && typ == 'k': // the server is there
		return 1 + 8 + 8 + 1, true
	case k == streamBackup && typ == 'n': // an archive begins: its name and place
		return 1 + 1 + 1, true
	case k == streamBackup && typ == 'p': // progress
		return 1 + 8, true
	case k == streamBackup && (typ == 'm' || typ == 'd'): // the manifest begins; a piece
		return 1, true
	default:
		return 0, false
	}
}

// walsenderAnswer looks at an answer to a command of replication.
func (s *session) walsenderAnswer(e *entry, typ byte, body []byte) error {
	if e.copying {
		return s.walsenderData(e, typ, body)
	}
	switch {
	case typ == msgReadyForQuery:
		return s.ready(e, body)
	case typ == msgCommandComplete:
		return s.commandComplete(e, body)
	case typ == msgRowDescription:
		return nil
	case typ == msgCopyBothResponse && e.stream == streamLog:
		return s.copyBothBegins(e, body)
	case typ == msgCopyOutResponse && e.stream == streamBackup:
		if _, _, err := parseCopyResponse(body); err != nil {
			return err
		}
		e.copying = true
		return nil
	case typ == msgCopyInResponse && e.stream == streamManifest:
		return s.copyInBegins(e, body)
	default:
		return unexpected(typ)
	}
}

// walsenderData looks at what comes in a stream.
func (s *session) walsenderData(e *entry, typ byte, body []byte) error {
	switch typ {
	case msgCopyDone:
		e.copying = false
		return nil
	case msgCopyData:
	default:
		return unexpected(typ)
	}
	if len(body) == 0 {
		return fmt.Errorf("%w: empty CopyData in a replication stream", errMalformed)
	}
	if n, ok := e.stream.leastLength(body[0]); !ok || len(body) < n {
		return fmt.Errorf("%w: %q in a replication stream", errMalformed, body[0])
	}
	if !s.admitRows(e, len(body), 0) {
		s.outgoing.change()
	}
	return nil
}

// copyBothBegins notes that the server sends its log and takes a standby's replies.
func (s *session) copyBothBegins(e *entry, body []byte) error {
	if _, _, err := parseCopyResponse(body); err != nil {
		return err
	}
	if e.copyIn != s.copyIn.serial || s.copyIn.expected == 0 {
		return unexpected(msgCopyBothResponse)
	}
	e.copying = true
	s.copyIn.expected, s.copyIn.active, s.copyIn.both = 0, true, true
	s.moved.Broadcast()
	return nil
}

// duringCopy treats the client's bytes while the server takes data. It returns how
// many it has consumed; zero asks for more of them.
func (s *session) duringCopy(in []byte) (used int, err error) {
	if s.copyIn.both {
		return s.standbyMessage(in)
	}
	return s.copyInMessage(in)
}

// standbyMessage passes on what a standby says while it is sent the log: replies, which
// are nothing but numbers, and that it has had enough. After anything else the server
// would end the session, and so does the gateway.
func (s *session) standbyMessage(in []byte) (used int, err error) {
	n, err := bodyLength(in)
	if err != nil {
		return 0, err
	}
	end := headerSize + n
	switch {
	case in[0] == msgCopyDone && n == 0:
		s.toServer = append(s.toServer, in[:end]...)
		s.copyIn.active, s.copyIn.both = false, false
		return end, nil
	case in[0] != msgCopyData || n > maxReply:
		return 0, fmt.Errorf("%w: %q from a standby", errMalformed, in[0])
	case len(in) < end:
		return 0, nil
	case !isReply(in[headerSize:end]):
		return 0, fmt.Errorf("%w: CopyData from a standby", errMalformed)
	}
	e := s.queue.front()
	if e.run.limit != nil && !e.run.within(0, int64(n)) {
		s.overrun(e, e.run.answerExceeds(0))
		return end, nil
	}
	if err := s.guard.Input(0, in[headerSize:end]); err != nil {
		return 0, err
	}
	s.toServer = append(s.toServer, in[:end]...)
	return end, nil
}

// maxReply is the length of the longest reply.
const maxReply = 1 + 8 + 8 + 8 + 8 + 1

// isReply reports whether data is the status of a standby, or what of the past it still
// needs.
func isReply(data []byte) bool {
	switch {
	case len(data) == 0:
		return false
	case data[0] == 'r':
		return len(data) == maxReply
	case data[0] == 'h':
		return len(data) == 1+8+4+4+4+4
	default:
		return false
	}
}
