package pgproxy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/policy"
)

// query judges a simple Query: all its statements as one command, and all or
// nothing of it is sent.
func (s *session) query(msg, body []byte) (*wait, error) {
	text, rest, ok := cutString(body)
	if !ok || len(rest) != 0 {
		return nil, fmt.Errorf("%w: Query", errMalformed)
	}
	if w, taken := s.walsenderQuery(msg, text); taken {
		return w, nil
	}
	r, w, refusal, complaint := s.analyze(text)
	if w != nil {
		return w, nil
	}
	if refusal == nil && r.renames > 0 && s.names.full() {
		refusal = &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: "too many prepared statements and cursors"}
	}
	if refusal != nil {
		cmd := &policy.Command{Action: policy.ActionQuery, Text: text, Facts: r.factsOrOpaque(refusal.Reason)}
		s.refuseAs(msgQuery, s.guard.Refuse(cmd, refusal).Refused(), complaint)
		return nil, nil
	}
	s.analysed = nil
	cmd := &policy.Command{Action: policy.ActionQuery, Text: text, Facts: r.facts}
	return s.judge(cmd, msg, func(v intercept.Verdict, msg []byte) {
		run, v := s.execution(r, cmd, v)
		if !v.Forward {
			s.refuse(msgQuery, v.Refused())
			return
		}
		if run.copies != nil {
			s.describeCopies(run, true)
		}
		wrapped := s.wrap(run)
		s.doubt(run, nil)
		s.send(msg, entry{kind: msgQuery, run: run, judged: true, verdict: v, renames: r.renames, wrapped: wrapped})
		s.nextBatch()
	}), nil
}

// analyze finds out what a text does. It returns a refusal for what can't be
// judged or is not carried, with a complaint where the server would have had the
// same of it.
func (s *session) analyze(text string) (*resolved, *wait, *intercept.Refusal, *complaint) {
	if len(text) > longText && (s.analysed == nil || s.analysed.text != text) {
		return nil, &wait{work: func() { s.analyzeAside(text) }}, nil, nil
	}
	q, err := s.analysis(text)
	if err != nil {
		return nil, nil, unparsable(err), syntaxComplaint(err)
	}
	r, w, refusal := s.resolve(q)
	return r, w, refusal, nil
}

// longText is the length from which a text is analysed without holding up what
// else the driver carries.
const longText = 4 << 10

// analysed is the outcome of one analysis.
type analysed struct {
	text  string
	query *sqlfacts.Query
	err   error
}

func (s *session) analyzeAside(text string) {
	a := &analysed{text: text, err: errors.New("the analysis failed")}
	defer func() {
		_ = recover() // a.err says that there is no analysis
		s.mu.Lock()
		defer s.mu.Unlock()
		s.analysed = a
	}()
	a.query, a.err = s.proxy.analyzer.Analyze(text)
}

func (s *session) analysis(text string) (*sqlfacts.Query, error) {
	if a := s.analysed; a != nil && a.text == text {
		return a.query, a.err
	}
	return s.proxy.analyzer.Analyze(text)
}

// reanalyze resolves a prepared statement again: the catalogue, or what the
// statement's own names mean, may have changed.
func (s *session) reanalyze(st *statement) (*resolved, *wait, *intercept.Refusal) {
	if c := s.catalogue(); s.path.known && !st.query.usesNames && st.query.catalogue == c && !s.shelf.due(time.Now(), s.proxy.cfg.CatalogueMaxAge) {
		return st.query, nil, st.query.refusal
	}
	r, w, refusal := s.resolve(st.query.query)
	if w == nil && refusal == nil {
		if r.catalogue.setting != st.query.catalogue.setting {
			st.layout = nil // the server looks its names up again
		}
		if !r.usesNames {
			st.query = r
		}
	}
	return r, w, refusal
}

func (s *session) resolve(q *sqlfacts.Query) (*resolved, *wait, *intercept.Refusal) {
	if w, refusal := s.refreshCatalogue(); w != nil || refusal != nil {
		return nil, w, refusal
	}
	c := s.catalogue()
	if !s.path.known && usesPath(q) {
		if w, refusal := s.askPath(); w != nil || refusal != nil {
			return nil, w, refusal
		}
	}
	r, w := s.resolveWith(c, q)
	if w != nil {
		return nil, w, nil
	}
	if r.unknown && !s.shelf.stale.Swap(true) && time.Since(c.loaded) > minRefresh {
		if w, refusal := s.refreshCatalogue(); w != nil || refusal != nil {
			return nil, w, refusal
		}
	}
	if r.refusal == nil && r.looksUpBehind && s.path.moved() {
		return r, nil, pathMoved()
	}
	return r, nil, r.refusal
}

// resolveWith resolves q by the catalogue c, or remembers that this was done.
func (s *session) resolveWith(c *catalogue, q *sqlfacts.Query) (*resolved, *wait) {
	if r := c.remembered(q); r != nil {
		return r, nil
	}
	if usesNames(q) {
		if w := s.settled(); w != nil {
			return nil, w
		}
	}
	r := c.resolve(q, meaning{statement: s.statementCalled, cursor: s.cursorCalled})
	if r.refusal == nil {
		r.refusal = s.proxy.cfg.Propagate.refusal(q)
	}
	if !r.usesNames {
		c.remember(q, r)
	}
	return r, nil
}

func usesNames(q *sqlfacts.Query) bool { return slices.ContainsFunc(q.Statements, usesName) }

// statementCalled returns the prepared statement of a name, nil if there is none.
func (s *session) statementCalled(name string) *traced {
	st := s.names.statements[name]
	if st == nil || st.doubtful || len(st.query.traced) != 1 {
		return nil
	}
	return st.query.traced[0]
}

// cursorCalled returns the cursor or portal of a name, nil if there is none.
func (s *session) cursorCalled(name string) *traced {
	p := s.names.portals[name]
	if p == nil || p.doubtful {
		return nil
	}
	if p.cursor != nil {
		return p.cursor
	}
	if len(p.run.query.traced) != 1 {
		return nil
	}
	return p.run.query.traced[0]
}

// unparsable says why a text can't be judged.
func unparsable(err error) *intercept.Refusal {
	r := &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: err.Error()}
	var syntax *sqlfacts.SyntaxError
	switch {
	case errors.As(err, &syntax):
		r.Code, r.Reason = intercept.CodeUnparsable, syntax.Message
	case errors.Is(err, sqlfacts.ErrSyntax), errors.Is(err, sqlfacts.ErrEncoding), errors.Is(err, sqlfacts.ErrParser):
		r.Code = intercept.CodeUnparsable
	}
	return r
}

// statementDone follows what a statement that is complete did to the session.
func (s *session) statementDone(e *entry) {
	run := e.run
	if run.current >= len(run.query.traced) {
		return
	}
	t := run.query.traced[run.current]
	if e.kind == msgQuery || e.kind == msgFunctionCall {
		run.current++
		run.plan = nil
	}
	if t.runsUnseen() {
		s.unseenRan = s.unseenRan || run.rules != nil && run.sensitive
		s.names.forgetCursors(s.atWork(e, t))
		e.unseen--
		s.unseenPending--
	}
	if changesNames(t.statement) {
		s.rename(t, e)
		e.renames--
		s.namesPending--
	}
}

// doubt notes what names no longer surely mean when run is sent, on portal p.
func (s *session) doubt(run *execution, p *portal) {
	if run.query.unseen() > 0 {
		s.names.doubt(p)
	}
}

// unseen counts the statements that run code which the gateway can't see.
func (r *resolved) unseen() int {
	n := 0
	for _, t := range r.traced {
		if t.runsUnseen() {
			n++
		}
	}
	return n
}

func (t *traced) runsUnseen() bool { return t.statement.UnknownFunctions || t.lost }

// atWork returns the portal that a statement has been run on: code that it calls
// can't have closed that one.
func (s *session) atWork(e *entry, t *traced) *portal {
	if t.statement.Fetches != "" {
		return s.names.portals[t.statement.Fetches]
	}
	return e.portal
}

// rename gives names the meaning that a complete statement gave them.
func (s *session) rename(t *traced, e *entry) {
	st, run := t.statement, e.run
	switch {
	case st.Discards == "all":
		s.names.clearStatements()
		s.names.clearPortals(e.portal)
	case st.Prepares != "":
		inner := &resolved{
			query:     &sqlfacts.Query{Statements: []*sqlfacts.Statement{t.inner.statement}, ExactOnly: true},
			catalogue: run.query.catalogue, traced: []*traced{t.inner}, refusal: run.query.refusal,
		}
		inner.facts = inner.policyFacts()
		inner.followPath(t.inner)
		s.names.setStatement(st.Prepares, &statement{text: run.text, query: inner, doubtful: s.unseenPending > 0})
	case st.Declares != "":
		s.names.setPortal(st.Declares, &portal{cursor: t.inner, hold: st.CursorHold, batch: s.answered + 1, doubtful: s.unseenPending > 0, size: len(run.text)})
	case st.DeallocatesAll:
		s.names.clearStatements()
	case st.Deallocates != "":
		s.names.setStatement(st.Deallocates, nil)
	case st.ClosesAll:
		s.names.clearPortals(e.portal)
	case st.Closes != "":
		s.names.setPortal(st.Closes, nil)
	}
}
