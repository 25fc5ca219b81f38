package pgproxy

import (
	"fmt"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/policy"
)

// copyUnderLimit refuses a COPY whose rows can't be counted: those that don't pass
// through the gateway, and those that are written in a way which it does not know.
func (r *resolved) copyUnderLimit(l *policy.Limit) *intercept.Refusal {
	if l == nil || l.Rows == 0 && l.Bytes == 0 {
		return nil
	}
	for _, t := range r.traced {
		switch kind := t.statement.Copy; {
		case kind == sqlfacts.CopyNone:
		case kind != sqlfacts.CopyToStdout && kind != sqlfacts.CopyFromStdin:
			return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "COPY with files and programs of the server is not carried under a limit of rows or bytes", Hint: "use STDIN or STDOUT"}
		case t.statement.CopyOptions.Unknown != "":
			return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: fmt.Sprintf("option %q of COPY is not carried under a limit of rows or bytes", t.statement.CopyOptions.Unknown)}
		}
	}
	return nil
}

// copiedRows is how many rows are in a message of a COPY TO STDOUT: one, as the
// manual says, but for a line of names, and for the end of the binary format, which
// comes behind its header where there are no rows.
func (e *entry) copiedRows(data []byte) int64 {
	if e.stream != streamNone {
		return 0
	}
	heading := e.heading
	e.heading = false
	if heading || copystream.IsTrailer(data) && e.run.query.traced[e.run.current].statement.CopyOptions.Format == "binary" {
		return 0
	}
	return 1
}

// rowsIn is how many rows are in a message of the server, of which the beginning is
// there.
func (e *entry) rowsIn(typ byte, beginning []byte) int64 {
	if typ == msgCopyData {
		return e.copiedRows(beginning)
	}
	return 1
}

// countCopyIn makes ready to count the rows that the client is about to send, if
// their number is limited.
func (s *session) countCopyIn(x *execution) error {
	s.copyIn.counter = nil
	if x.limit == nil || x.limit.Rows == 0 {
		return nil
	}
	config, err := copyFormat(&x.query.traced[x.current].statement.CopyOptions)
	if err != nil {
		return err
	}
	s.copyIn.counter = copystream.NewCounter(config)
	return nil
}

// copyInExceeds counts what the client sends of a COPY. What is beyond the limit
// fails the COPY in the place of its rows, as the client could have done itself:
// the server takes back what it has had.
func (s *session) copyInExceeds(bytes int, rows int64) bool {
	e := s.queue.front()
	if e.run.limit == nil || e.run.within(rows, int64(bytes)) {
		return false
	}
	s.overrun(e, e.run.copyExceeds(rows))
	s.failCopyIn()
	return true
}

// copyExceeds says which limit so many more rows of the client are beyond.
func (x *execution) copyExceeds(rows int64) *intercept.Refusal {
	if l := x.limit; l.Rows != 0 && x.used.rows+rows > l.Rows {
		return limitExceeded(fmt.Sprintf("COPY is sent more than %d rows", l.Rows), "send fewer rows at a time")
	}
	return limitExceeded(fmt.Sprintf("COPY is sent more than %d bytes", x.limit.Bytes), "send fewer rows at a time")
}

// failCopyIn fails the COPY that the server reads rows of, if it does. The server
// does not look at a cancel request before more of them comes.
func (s *session) failCopyIn() {
	if !s.copyIn.active || s.copyIn.both {
		return // a standby's replies can't fail
	}
	s.toServer = appendMessage(s.toServer, msgCopyFail, func(b []byte) []byte { return appendText(b, "headgate: limit exceeded") })
	s.copyIn.active, s.copyIn.expected = false, 0
	s.urgent = true
	s.moved.Broadcast()
}
