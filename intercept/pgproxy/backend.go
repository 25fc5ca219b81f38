package pgproxy

import (
	"fmt"
	"strings"

	"github.com/headgate/gateway/intercept"
)

// minPartial is the body length from which a row is passed on, or masked, before all
// of it is there.
const minPartial = 16 << 10

// keptBuffer is the largest buffer that a session keeps from one call to the next.
const keptBuffer = 4 * readBuffer

// outgoing is what one call of fromServer releases: runs of the input that go
// through unchanged, and what was put in place of the rest.
type outgoing struct {
	in       []byte
	from, at int // in[from:at] goes through unchanged and has not been copied
	end      int // where the message being looked at ends
	out      []byte
}

// change says that the message being looked at does not go through: what is
// before it is kept, and the caller may append to o.out in its place.
func (o *outgoing) change() {
	if o.from == o.end {
		return // it has been called for this message
	}
	o.out = append(o.out, o.in[o.from:o.at]...)
	o.from = o.end
}

// bytes returns all that is to be released.
func (o *outgoing) bytes() []byte {
	if len(o.out) == 0 {
		return o.in[o.from:o.at]
	}
	o.out = append(o.out, o.in[o.from:o.at]...)
	return o.out
}

// fromServer consumes whole messages of in, and of rows that pass unchanged also
// the beginning, and returns what to release. That is in the record when
// fromServer returns; it aliases in or a buffer of s and is good until the next
// call. If nothing was consumed the caller must read more.
func (s *session) fromServer(in []byte) (used int, release []byte, err error) {
	if s.ended != nil {
		return 0, nil, s.ended
	}
	o := &s.outgoing
	*o = outgoing{in: in, at: s.pass(in, 0, s.passing), out: o.out[:0]}
	s.passing -= o.at
	if s.dropping {
		o.from = o.at
		s.dropping = s.passing > 0
	}
	if cap(o.out) > keptBuffer {
		o.out = nil
	}
	looked := false // the rows that come are looked at one by one
	for s.passing == 0 {
		if s.row != nil && o.at < len(in) {
			if err := s.continueRow(); err != nil {
				return 0, nil, s.fail(err)
			}
		}
		if s.row == nil && !looked {
			s.passRows()
		}
		if s.row != nil || len(in)-o.at < headerSize {
			break
		}
		n, err := bodyLength(in[o.at:])
		if err != nil {
			return 0, nil, s.fail(err)
		}
		o.end = o.at + headerSize + n
		if o.end > len(in) {
			if err := s.partial(in[o.at], n); err != nil {
				return 0, nil, s.fail(err)
			}
			if s.row != nil {
				continue
			}
			break
		}
		looked = in[o.at] == msgDataRow
		if err := s.serverMessage(in[o.at], in[o.at+headerSize:o.end]); err != nil {
			return 0, nil, s.fail(err)
		}
		o.at = o.end
	}
	if !s.midRow() && len(s.notices) > 0 {
		o.end = o.at
		o.change()
		o.out = append(o.out, s.notices...)
		s.notices = s.notices[:0]
	}
	release = o.bytes()
	return o.at, release, s.record(release)
}

// partial looks at a message whose end has not come yet.
func (s *session) partial(typ byte, n int) error {
	if s.withholds(typ) {
		s.drop()
		return nil
	}
	if e := s.queue.front(); s.copying(typ) && e.stream != streamNone {
		if known, err := e.stream.begins(s.outgoing.in[s.outgoing.at+headerSize:]); !known || err != nil {
			return err
		}
	}
	if (typ == msgDataRow || s.copying(typ)) && n >= minPartial && s.rowsPass() && s.trusted() == nil {
		s.passPartial(n, s.queue.front().rowsIn(typ, nil))
		return nil
	}
	if typ == msgFunctionResponse && n >= minPartial {
		if begun, err := s.beginFunctionAnswer(n); begun || err != nil {
			return err
		}
	}
	isRow := typ == msgDataRow || s.copying(typ)
	if isRow && n > s.proxy.cfg.MaxRowBytes && s.exceeds(n) {
		s.drop()
		return nil
	}
	if isRow && n >= minPartial {
		if begun, err := s.beginRow(typ, n); begun || err != nil {
			return err
		}
	}
	if n > s.proxy.cfg.MaxMessageBytes {
		return fmt.Errorf("%w: %d bytes of type %q", errTooLong, n, typ)
	}
	return nil
}

// passPartial begins to pass on a message of n bytes, which ends so many rows, and
// whose own end has not come yet.
func (s *session) passPartial(n int, rows int64) {
	if !s.admitRows(s.queue.front(), n, rows) {
		s.drop()
		return
	}
	o := &s.outgoing
	passed := s.pass(o.in, o.at, o.end-o.at)
	o.at += passed
	s.passing = o.end - o.at
}

// withholds reports whether a message of the server is part of an answer that is
// withheld.
func (s *session) withholds(typ byte) bool {
	e := s.queue.front()
	if e == nil || !e.withheld {
		return false
	}
	switch typ {
	case msgRowDescription, msgDataRow, msgCopyOut, msgCopyData, msgCopyDone, msgFunctionResponse, msgCopyBothResponse:
		return true
	default:
		return false
	}
}

// drop takes what has come of a message that is withheld, and what will come.
func (s *session) drop() {
	o := &s.outgoing
	o.out = append(o.out, o.in[o.from:o.at]...)
	o.from, o.at = len(o.in), len(o.in)
	s.passing, s.dropping = o.end-len(o.in), true
}

// pass returns how much of in[at:], of which n bytes belong to a row that passes,
// is released now. A row that goes on is cut where no secret of the gateway's own
// stands across: in what is found whole it is overwritten here, and what could be
// its beginning is left for the next time.
func (s *session) pass(in []byte, at, n int) int {
	if n <= len(in)-at {
		return n
	}
	echo := s.guard.Echo()
	held := max(echo.Longest()-1, 0)
	cut := len(in) - held
	if cut <= at {
		return 0
	}
	echo.Redact(in[max(at, cut-held):])
	return cut - at
}

// record puts what is about to be released into the record, and behind it how
// commands ended.
func (s *session) record(release []byte) error {
	if len(release) > 0 {
		if err := s.guard.Output(0, release); err != nil {
			return s.fail(err)
		}
	}
	for _, f := range s.results {
		if err := s.guard.Result(f.verdict, f.outcome); err != nil {
			return s.fail(err)
		}
	}
	s.results = s.results[:0]
	return nil
}

// serverMessage looks at one whole message. It leaves it to go through, or calls
// s.outgoing.change.
func (s *session) serverMessage(typ byte, body []byte) error {
	if typ == msgDataRow {
		return s.dataRow(body)
	}
	e := s.queue.front()
	switch typ {
	case msgError:
		return s.serverError(e, body)
	case msgNotice:
		return s.notice(e, body)
	case msgParameterStatus:
		return s.parameterStatus(body)
	case msgNotification:
		return s.notification(body)
	}
	if e == nil {
		return unexpected(typ)
	}
	if e.refusal != nil && typ != msgReadyForQuery {
		return fmt.Errorf("%w: the server answered a refused command with %q", errMalformed, typ)
	}
	if e.bracket {
		return s.bracketAnswer(e, typ, body)
	}
	if e.hidden {
		return s.hiddenAnswer(e, typ, body)
	}
	if s.withholds(typ) {
		e.copying = e.copying && typ != msgCopyDone
		s.outgoing.change()
		return nil
	}
	return s.answer(e, typ, body)
}

// answer looks at what can only be the answer to the head of the queue.
func (s *session) answer(e *entry, typ byte, body []byte) error {
	switch {
	case e.kind == msgFunctionCall:
		return s.functionAnswer(e, typ, body)
	case e.stream != streamNone:
		return s.walsenderAnswer(e, typ, body)
	case typ == msgReadyForQuery && (e.kind == msgQuery || e.kind == msgSync):
		return s.ready(e, body)
	case completes(typ, e.kind):
		s.done()
	case typ == msgParameterDesc && e.kind == msgDescribe && e.statement != nil:
	case typ == msgNoData && e.kind == msgDescribe:
		s.describedNothing(e)
		s.done()
	case typ == msgRowDescription:
		return s.rowDescription(e, body)
	case typ == msgCopyData && e.run != nil:
		return s.copyOutData(e, body)
	case typ == msgCopyOutResponse && e.run != nil:
		return s.copyOutBegins(e, body)
	case typ == msgCopyDone && e.run != nil:
		return s.copyOutEnds(e)
	case typ == msgCopyInResponse && e.run != nil:
		return s.copyInBegins(e, body)
	case typ == msgCommandComplete && e.run != nil:
		return s.commandComplete(e, body)
	case typ == msgEmptyQuery && e.run != nil:
		return s.commandComplete(e, nil)
	case typ == msgPortalSuspended && e.kind == msgExecute:
		if e.withheld {
			s.completeTooLate(e)
			return nil
		}
		s.finish(e, intercept.Outcome{Status: "suspended"})
		s.done()
	default:
		return unexpected(typ)
	}
	return nil
}

// completes reports whether an answer of type typ says that a message of the
// client's, of type kind, has been done, and nothing else.
func completes(typ, kind byte) bool {
	return typ == msgParseComplete && kind == msgParse ||
		typ == msgBindComplete && kind == msgBind ||
		typ == msgCloseComplete && kind == msgClose
}

// done ends the head of the queue.
func (s *session) done() {
	s.leaves(s.queue.front())
	s.queue.pop()
	s.startClock()
	s.moved.Broadcast()
}

// finish notes how a judged command ended, to be recorded behind its output.
func (s *session) finish(e *entry, o intercept.Outcome) {
	if !e.judged {
		return
	}
	o.Rows, o.Bytes = e.rows, e.bytes
	s.results = append(s.results, finished{e.verdict, o})
	e.judged = false
}

// ready ends a batch.
func (s *session) ready(e *entry, body []byte) error {
	if len(body) != 1 || body[0] != statusIdle && body[0] != statusOpen && body[0] != statusFailed {
		return fmt.Errorf("%w: ReadyForQuery", errMalformed)
	}
	if (e.wrapped || e.withheld) && s.readyTooLate(e, body[0]) {
		return nil
	}
	if e.refusal == nil {
		s.finish(e, intercept.Outcome{Status: e.status})
	}
	s.namesPending -= e.renames
	s.status, s.unseenRan = body[0], false
	s.answered++
	s.path.ready(s.status, s.queue.size <= 1)
	if s.status == statusIdle {
		s.names.endTransaction(s.answered, !s.failed)
		s.failed = false
		if s.queue.size <= 1 { // what follows may change the catalogue again
			s.catalogueSettled()
		}
	}
	s.done()
	return nil
}

// Transaction statuses of ReadyForQuery.
const (
	statusIdle   = 'I'
	statusOpen   = 'T'
	statusFailed = 'E'
)

// commandComplete ends a statement: an Execute, or one statement of a Query. tag
// is nil for an empty statement.
func (s *session) commandComplete(e *entry, tag []byte) error {
	status := ""
	if tag != nil {
		var rest []byte
		var ok bool
		if status, rest, ok = cutString(tag); !ok || len(rest) != 0 {
			return fmt.Errorf("%w: CommandComplete", errMalformed)
		}
	}
	if e.copying {
		return unexpected(msgCommandComplete)
	}
	if strings.HasPrefix(status, "ROLLBACK") {
		s.failed = true
		s.names.rollBack()
	}
	s.statementDone(e)
	if e.kind == msgExecute && e.withheld {
		s.completeTooLate(e)
		return nil
	}
	if e.withheld {
		s.outgoing.change()
	}
	if e.kind == msgExecute {
		s.finish(e, intercept.Outcome{Status: status})
		s.done()
		return nil
	}
	e.status = status
	return nil
}

func unexpected(typ byte) error {
	return fmt.Errorf("%w: unexpected %q from the server", errMalformed, typ)
}
