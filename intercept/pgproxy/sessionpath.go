package pgproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// A sessionPath is what a session knows of its search_path. Whatever may have
// changed it makes it unknown, until the server has said what it is. A session that
// never touches it is not asked anything.
type sessionPath struct {
	// setting is the server's, if known says so.
	setting string
	known   bool
	// start is what the session began with, begun that this is known.
	start string
	begun bool
	// adrift says that the server's configuration may have been loaded again since, so
	// that RESET may lead elsewhere.
	adrift bool
	// reports says that the server reports the setting at the end of each batch, as
	// those from version 18 on do; reported is what it said last.
	reports  bool
	reported string
	// touched says that something that has been sent, and whose transaction may still
	// be open, may have changed the setting; changed that it has, or was told to.
	touched, changed bool
	// leaving counts the entries of the queue that may end a transaction, or a part.
	leaving int
	// asking says that a question is in the queue; failure is how one failed.
	asking  bool
	failure string
	// view is base, the shelf's catalogue, along setting.
	base, view *catalogue
}

// begin takes over what the server said when the connection was made, or what
// sessions begin with.
func (p *sessionPath) begin(parameters map[string]string, base *catalogue) {
	if setting, ok := parameters["search_path"]; ok {
		p.reports, p.reported = true, setting
		p.learn(setting)
		return
	}
	if base != nil && base.startKnown {
		p.base = base
		p.learn(base.start)
	}
}

// learn notes what the setting is.
func (p *sessionPath) learn(setting string) {
	if setting != p.setting {
		p.setting, p.view = setting, nil
		p.changed = p.touched
	}
	if p.known = true; !p.begun {
		p.start, p.begun = setting, true
	}
}

// moved reports whether a statement that goes back, as RESET and ROLLBACK do, may
// lead somewhere else. Code that the gateway can't see, and that was not found to
// have changed the path, has not.
func (p *sessionPath) moved() bool {
	return p.adrift || p.changed || !p.known && !p.touched || p.setting != p.start
}

// catalogue returns the newest catalogue along the session's search path.
func (s *session) catalogue() *catalogue {
	base, p := s.shelf.newest.Load(), &s.path
	if p.base != base {
		if p.base != nil && p.base.origin != base.origin {
			p.adrift, p.known = true, p.known && p.reports
		}
		p.base, p.view = base, nil
	}
	if p.view == nil {
		p.view = base.withPath(p.setting)
	}
	return p.view
}

// sent follows what a message that is sent may do to the search path.
func (p *sessionPath) sent(e *entry, status byte) {
	r := e.resolved()
	if r != nil && (r.setsPath || r.resetsPath && p.moved()) {
		p.touched, p.changed, p.known = true, true, false
	}
	if r != nil && r.runsCode {
		p.touched, p.known = true, false
	}
	if r != nil && r.leaves && e.kind != msgBind {
		e.leaving = true
		p.leaving++
	}
	if !p.touched || e.path != nil {
		return
	}
	ends := (e.kind == msgQuery || e.kind == msgFunctionCall || e.kind == msgSync) && (status != statusOpen || p.leaving > 0)
	p.known = p.known && !ends && !e.leaving
}

// resolved returns what an entry runs. Functions may run when a portal is bound,
// while its statement is planned.
func (e *entry) resolved() *resolved {
	switch {
	case e.run != nil:
		return e.run.query
	case e.kind == msgBind && e.portal != nil && e.portal.run != nil:
		return e.portal.run.query
	default:
		return nil
	}
}

// left notes that an entry has left the queue.
func (p *sessionPath) left(e *entry) {
	if e.leaving {
		p.leaving--
	}
	if e.path != nil {
		p.asking = false
	}
}

// ready follows the end of a batch. last says that nothing has been sent since.
func (p *sessionPath) ready(status byte, last bool) {
	if p.touched && status == statusIdle {
		p.known, p.touched, p.changed = false, !last, p.changed && !last
	}
	if p.reports && last {
		p.learn(p.reported)
	}
}

// failed notes that what the session has changed may be rolled back.
func (p *sessionPath) failed() { p.known = p.known && !p.touched }

// usesPath reports whether what a text means depends on the search path.
func usesPath(q *sqlfacts.Query) bool { return slices.ContainsFunc(q.Statements, looksUp) }

// looksUp reports whether a statement looks names up along the search path.
func looksUp(s *sqlfacts.Statement) bool {
	if s.Transaction != sqlfacts.TransactionNone || strings.HasPrefix(s.Tag, "DISCARD") || strings.HasPrefix(s.Tag, "DEALLOCATE") {
		return false
	}
	switch s.Tag {
	case "SET", "RESET", "SHOW", "LISTEN", "UNLISTEN", "NOTIFY":
		return false
	default:
		return true
	}
}

// looksUpLate reports whether a statement looks names up when it is executed, and
// not when its portal is bound.
func looksUpLate(s *sqlfacts.Statement) bool {
	switch s.Tag {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "FETCH":
		return false
	default:
		return looksUp(s)
	}
}

// pathName is the statement and portal by which the search path is asked for.
const pathName = "headgate_path"

// maxPathSetting bounds a search path.
const maxPathSetting = 8 << 10

// A pathQuestion is a hidden question for the search path.
type pathQuestion struct {
	setting string
	closes  int
}

// askPath asks the server for the session's search path, on the session's own
// connection and behind all that has been sent. SHOW takes no snapshot, so that
// the question leaves no trace in an open transaction. It returns what to wait for,
// nothing when the path is known, or when nothing can run but what ends a failed
// transaction.
func (s *session) askPath() (*wait, *intercept.Refusal) {
	p := &s.path
	if p.failure != "" {
		r := unreadPath(p.failure)
		p.failure = ""
		return nil, r
	}
	if !p.asking {
		if !s.inBatch() {
			return s.waitFor(func() bool { return s.discarding || s.inBatch() }), nil
		}
		if s.status == statusFailed && p.leaving == 0 {
			return nil, nil
		}
		s.sendPathQuestion()
	}
	return &wait{until: func() bool { return !p.asking }}, nil
}

// inBatch reports whether all earlier batches have been answered.
func (s *session) inBatch() bool {
	e := s.queue.front()
	return e == nil || s.open && e.batch == s.batch
}

// sendPathQuestion sends the question, within the batch that is open or in one of
// its own.
func (s *session) sendPathQuestion() {
	if s.replication != replicationNone {
		s.path.asking = true
		s.send(appendQuery(nil, "SELECT pg_catalog.current_setting('search_path')"), entry{kind: msgQuery, hidden: true, path: new(pathQuestion)})
		s.nextBatch()
		return
	}
	b := appendParse(nil, pathName, "SHOW search_path")
	b = appendMessage(b, msgBind, func(b []byte) []byte {
		return append(appendText(appendText(b, pathName), pathName), 0, 0, 0, 0, 0, 0)
	})
	b = appendMessage(b, msgExecute, func(b []byte) []byte { return append(appendText(b, pathName), 0, 0, 0, 0) })
	b = appendClose(appendClose(b, 'P', pathName), 'S', pathName)
	e := entry{kind: msgDescribe, hidden: true, path: new(pathQuestion)}
	s.path.asking = true
	if s.open {
		s.send(append(b, msgFlush, 0, 0, 0, 4), e)
		return
	}
	e.kind = msgSync
	s.send(append(b, msgSync, 0, 0, 0, 4), e)
	s.nextBatch()
}

// pathAnswer takes the answer to the question.
func (s *session) pathAnswer(e *entry, typ byte, body []byte) error {
	q := e.path
	switch typ {
	case msgParseComplete, msgBindComplete, msgRowDescription, msgCommandComplete:
		return nil
	case msgDataRow:
		row, err := parseRow(body)
		if err != nil || len(row) != 1 || len(row[0]) > maxPathSetting {
			return fmt.Errorf("%w: search_path", errMalformed)
		}
		q.setting = row[0]
		return nil
	case msgCloseComplete:
		if q.closes++; q.closes == 2 && e.kind == msgDescribe {
			s.done()
			s.path.learn(q.setting)
		}
		return nil
	case msgReadyForQuery:
		if err := s.ready(e, body); err != nil {
			return err
		}
		if s.path.failure == "" {
			s.path.learn(q.setting)
		}
		return nil
	default:
		return unexpected(typ)
	}
}

// pathNotTold notes that the question has failed, as by a cancel request. Within a
// batch of the client's the error is the client's, too.
func (s *session) pathNotTold(e *entry, f fields) {
	if e.kind == msgDescribe {
		s.scrub(e, msgError, f)
		return
	}
	s.outgoing.change()
	s.path.failure = f.code
}

func unreadPath(sqlstate string) *intercept.Refusal {
	r := unread(sqlstate)
	r.Reason = "the session's search_path could not be read"
	return r
}

// pathMoved refuses a text in which a statement looks names up behind another that
// changes where.
func pathMoved() *intercept.Refusal {
	return &intercept.Refusal{
		Code: intercept.CodeUnsupported, Reason: "what search_path is for a statement of this text can't be told",
		Hint: "send what changes search_path, or ends a transaction in which it was changed, by itself",
	}
}
