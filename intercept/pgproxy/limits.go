package pgproxy

import (
	"fmt"
	"time"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/policy"
)

// A meter is what a command has used up of its limit. It belongs to the portal:
// however often that is executed, it is one command.
type meter struct{ rows, bytes int64 }

// bounds returns the limit that the session has to enforce, nil for none.
func bounds(v intercept.Verdict) *policy.Limit {
	if l := v.Limit; l != nil && (l.Rows != 0 || l.Bytes != 0 || l.Timeout != 0) {
		return l
	}
	return nil
}

// admit counts a row, or another piece of an answer, of n bytes. It reports
// whether it may be released; otherwise the entry is withheld from there on, and
// the server is told to stop. The entry is the head of the queue.
func (s *session) admit(e *entry, n int) bool { return s.admitRows(e, n, 1) }

// admitRows is admit for a piece that ends so many rows.
func (s *session) admitRows(e *entry, n int, rows int64) bool {
	if e.withheld {
		return false
	}
	if x := e.run; x != nil && x.limit != nil && !x.within(rows, int64(n)) {
		s.overrun(e, x.answerExceeds(rows))
		return false
	}
	e.rows += rows
	e.bytes += int64(n)
	return true
}

// within counts rows and bytes, and reports whether they are within the limit.
// What is not is not counted.
func (x *execution) within(rows, bytes int64) bool {
	l, u := x.limit, &x.used
	if l.Rows != 0 && u.rows+rows > l.Rows || l.Bytes != 0 && u.bytes+bytes > l.Bytes {
		return false
	}
	u.rows += rows
	u.bytes += bytes
	return true
}

// answerExceeds says which limit so many more rows of an answer are beyond.
func (x *execution) answerExceeds(rows int64) *intercept.Refusal {
	if l := x.limit; l.Rows != 0 && x.used.rows+rows > l.Rows {
		return limitExceeded(fmt.Sprintf("the answer has more than %d rows", l.Rows), "ask for fewer rows")
	}
	return limitExceeded(fmt.Sprintf("the answer is longer than %d bytes", x.limit.Bytes), "ask for fewer rows or columns")
}

// exceeds reports whether a row of n bytes, which is too long to be masked, exceeds
// the limit in any case, and withholds it then.
func (s *session) exceeds(n int) bool {
	e := s.queue.front()
	if e == nil || e.run == nil || e.run.limit == nil || e.run.limit.Bytes == 0 || int64(n) <= e.run.limit.Bytes {
		return false
	}
	return !s.admit(e, n)
}

func limitExceeded(reason, hint string) *intercept.Refusal {
	return &intercept.Refusal{Code: intercept.CodeLimitExceeded, Reason: reason, Hint: hint}
}

// tookTooLong is what a statement that is stopped by its timeout is told.
func tookTooLong(d time.Duration) *intercept.Refusal {
	r := limitExceeded(fmt.Sprintf("the statement took longer than %v", d), "ask for less at a time")
	r.Retryable = true
	return r
}

// stands says that there was nothing left to take back.
func stands(r *intercept.Refusal) *intercept.Refusal {
	told := *r
	told.Reason += "; what the statement did stands"
	return &told
}

// limitState is the SQLSTATE of a limit that was exceeded: a timeout looks like
// the server's own.
func limitState(e *entry) string {
	if !e.withheld {
		return queryCanceled
	}
	return sqlstate(intercept.CodeLimitExceeded)
}

const queryCanceled = "57014"

// tellLimit puts the refusal of a limit in the place of the message being looked
// at, and notes that the command has ended with it.
func (s *session) tellLimit(e *entry, r *intercept.Refusal) {
	s.outgoing.change()
	s.outgoing.out = appendRefusalAs(s.outgoing.out, limitState(e), r)
	s.finish(e, intercept.Outcome{Status: "limit exceeded", Failure: limitState(e)})
	e.over, e.withheld = nil, false
}

// completeTooLate takes the completion of an Execute whose answer was withheld:
// the server was done before it could be stopped. Where the client's Sync is on
// its way already, the batch has done nothing but read, and an error in the
// completion's place is all there is to it. Otherwise the batch is made to fail,
// as an error of the server's own would have made it.
func (s *session) completeTooLate(e *entry) {
	s.outgoing.change()
	if s.queue.size > 1 {
		s.tellLimit(e, e.over)
		s.skipAfterError(e)
		return
	}
	r := e.over
	s.finish(e, intercept.Outcome{Status: "limit exceeded", Failure: limitState(e)})
	s.done()
	s.refuse(msgParse, r)
	s.urgent = true
}

// readyTooLate takes the ReadyForQuery of a Query whose answer was withheld, or
// that the gateway has put into a transaction of its own. It reports whether the
// client is not to see it.
func (s *session) readyTooLate(e *entry, status byte) bool {
	switch {
	case e.wrapped && status != statusIdle:
		commit := status == statusOpen && !e.withheld
		if e.withheld {
			s.tellLimit(e, e.over)
		}
		s.outgoing.change()
		s.unwrap(e, commit)
		return true
	case !e.withheld:
		return false
	case status == statusOpen: // a transaction of the client's: it must fail
		s.outgoing.change()
		r, kind := e.over, e.kind
		s.finish(e, intercept.Outcome{Status: "limit exceeded", Failure: limitState(e)})
		s.replace(e, status, func() { s.refuse(kind, r) })
		return true
	}
	r := e.over
	if !e.run.query.reads {
		r = stands(r)
	}
	s.outgoing.change()
	s.outgoing.out = appendRefusalAs(s.outgoing.out, limitState(e), r)
	s.finish(e, intercept.Outcome{Status: "limit exceeded", Failure: limitState(e)})
	s.outgoing.out = appendReady(s.outgoing.out, status)
	return false
}

// wrap begins a transaction around a Query that is about to be sent, where that is
// what makes it possible to take back what the Query did: the server commits
// before the last row of a Query has been seen.
func (s *session) wrap(x *execution) bool {
	if x.limit == nil || x.limit.Rows == 0 && x.limit.Bytes == 0 || x.query.reads || s.status != statusIdle || s.open || s.queue.size > 0 || !x.query.canBeWrapped() {
		return false
	}
	s.send(appendQuery(nil, "BEGIN"), entry{kind: msgQuery, hidden: true, bracket: true})
	s.nextBatch()
	return true
}

// unwrap ends the transaction around a Query. Its ReadyForQuery is the client's.
func (s *session) unwrap(e *entry, commit bool) {
	sql := "ROLLBACK"
	if commit {
		sql = "COMMIT"
	}
	s.failed = s.failed || !commit
	s.replace(e, statusOpen, func() {
		s.send(appendQuery(nil, sql), entry{kind: msgQuery, hidden: true, bracket: true, last: true, rollsBack: !commit})
		s.nextBatch()
	})
}

// replace ends the Query at the head of the queue and sends something that will
// be answered in its place. What the client sends next waits for that.
func (s *session) replace(e *entry, status byte, send func()) {
	s.finish(e, intercept.Outcome{Status: e.status})
	s.namesPending -= e.renames
	s.status = status
	s.answered++
	s.limited++ // until what is sent now is in the queue
	s.done()
	send()
	s.queue.at(s.queue.size - 1).limited = true
	s.urgent = true
}

// bracketAnswer takes the answer to a BEGIN, COMMIT or ROLLBACK of the gateway's.
func (s *session) bracketAnswer(e *entry, typ byte, body []byte) error {
	s.outgoing.change()
	switch {
	case typ == msgCommandComplete:
		return nil
	case typ == msgReadyForQuery && len(body) == 1:
		if e.last && body[0] != statusIdle { // a cancel request has hit it
			s.unwrap(e, false)
			return nil
		}
		if e.last {
			s.outgoing.out = appendReady(s.outgoing.out, body[0])
		}
		return s.ready(e, body)
	default:
		return unexpected(typ)
	}
}

// canBeWrapped reports whether a text that is one transaction by itself does the
// same within a transaction. All but the first of several statements are in one
// anyhow.
func (r *resolved) canBeWrapped() bool {
	rows := false
	for _, t := range r.traced {
		st := t.statement
		if st.Transaction != sqlfacts.TransactionNone {
			return false
		}
		switch st.Tag {
		case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "EXECUTE", "EXPLAIN", "FETCH":
			rows = rows || st.Rows || st.Output == nil
		case "COPY":
			rows = rows || st.Copy == sqlfacts.CopyToStdout
		case "CALL", "DO":
			return false // they may end a transaction themselves
		default:
			if len(r.traced) == 1 {
				return false
			}
		}
	}
	return rows
}

// onlyReads reports whether nothing is left behind by a text, so that whether its
// transaction was committed makes no difference.
func (r *resolved) onlyReads() bool {
	for _, t := range r.traced {
		if len(t.opaque) > 0 || t.lost || t.statement.Transaction != sqlfacts.TransactionNone {
			return false
		}
		for _, e := range t.effects {
			if e.Verb != policy.VerbRead {
				return false
			}
		}
	}
	return true
}
