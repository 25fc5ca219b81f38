package pgproxy

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// parse judges a Parse: the statement may be sent to be parsed unless the policy
// denies it. Whether it may run is asked when it is bound.
func (s *session) parse(msg, body []byte) (*wait, error) {
	name, rest, ok := cutString(body)
	text, rest, ok2 := cutString(rest)
	types := rest
	n, rest, ok3 := cutInt16(rest)
	if n = int(uint16(n)); !ok || !ok2 || !ok3 || len(rest) != 4*n {
		return nil, fmt.Errorf("%w: Parse", errMalformed)
	}
	if s.tooLong(msgParse, name) {
		return nil, nil
	}
	if w := s.settled(); w != nil {
		return w, nil
	}
	r, w, refusal, complaint := s.analyze(text)
	if w != nil {
		return w, nil
	}
	if refusal == nil && len(r.traced) > 1 {
		complaint = multipleCommands()
		refusal = &intercept.Refusal{Code: intercept.CodeUnparsable, Reason: complaint.message}
	}
	if refusal == nil && s.names.full() {
		refusal = &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: "too many prepared statements"}
	}
	if refusal != nil {
		s.refuseAs(msgParse, s.guard.Refuse(&policy.Command{Action: policy.ActionPrepare, Text: text, Facts: r.factsOrOpaque(refusal.Reason)}, refusal).Refused(), complaint)
		return nil, nil
	}
	s.analysed = nil
	types = bytes.Clone(types) // the message is in a buffer that is used again
	cmd := &policy.Command{Action: policy.ActionPrepare, Text: text, Facts: r.facts}
	return s.judge(cmd, msg, func(v intercept.Verdict, msg []byte) {
		if !v.Forward {
			s.refuse(msgParse, v.Refused())
			return
		}
		st := &statement{text: text, query: r, types: types}
		s.send(msg, entry{kind: msgParse, statement: st, undo: s.names.setStatement(name, st)})
	}), nil
}

// settled returns a wait if what names mean depends on answers that have not
// come: to messages of earlier batches that change names, which the server may
// have failed, or to SQL that changes names, as DEALLOCATE and DECLARE do.
func (s *session) settled() *wait {
	if s.namesAreSettled() {
		return nil
	}
	return s.waitFor(s.namesAreSettled)
}

func (s *session) namesAreSettled() bool { return s.namesPending == 0 && s.naming.earlier == 0 }

// tooLong refuses names that the server would cut. It reports whether it did.
func (s *session) tooLong(kind byte, names ...string) bool {
	for _, name := range names {
		if len(name) > maxName {
			r := &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: fmt.Sprintf("a name is longer than %d bytes", maxName)}
			s.refuseAs(kind, s.guard.Refuse(nameless(r.Reason), r).Refused(), &complaint{code: "42622", message: r.Reason})
			return true
		}
	}
	return false
}

// binding is a parsed Bind.
type binding struct {
	portal, statement string
	params            []policy.Param
	formats           []int16
}

// parseBind parses the body of a Bind (manual, "Message Formats").
func parseBind(body []byte) (*binding, bool) {
	b := new(binding)
	var ok bool
	if b.portal, body, ok = cutString(body); !ok {
		return nil, false
	}
	if b.statement, body, ok = cutString(body); !ok {
		return nil, false
	}
	paramFormats, body, ok := cutFormats(body)
	if !ok {
		return nil, false
	}
	if b.params, body, ok = cutParams(body, paramFormats); !ok {
		return nil, false
	}
	if b.formats, body, ok = cutFormats(body); !ok || len(body) != 0 {
		return nil, false
	}
	return b, true
}

// cutParams takes a number and as many values off the front of b.
func cutParams(b []byte, formats []int16) ([]policy.Param, []byte, bool) {
	n, b, ok := cutInt16(b)
	if n = int(uint16(n)); !ok || len(formats) > 1 && len(formats) != n || 4*n > len(b) {
		return nil, nil, false
	}
	params := make([]policy.Param, n)
	for i := range params {
		var size int
		if size, b, ok = cutInt32(b); !ok || size > len(b) || size < -1 {
			return nil, nil, false
		}
		if size == -1 {
			params[i].Null = true
			continue
		}
		params[i] = param(b[:size], formatOf(formats, i))
		b = b[size:]
	}
	return params, b, true
}

func param(value []byte, format int16) policy.Param {
	if format == 0 && utf8.Valid(value) {
		return policy.Param{Value: string(value)}
	}
	return policy.Param{Value: hex.EncodeToString(value), Binary: true}
}

func cutFormats(b []byte) ([]int16, []byte, bool) {
	n, b, ok := cutInt16(b)
	if n = int(uint16(n)); !ok || len(b) < 2*n {
		return nil, nil, false
	}
	var formats []int16
	for i := range n {
		f := int16(binary.BigEndian.Uint16(b[2*i:]))
		if f != 0 && f != 1 {
			return nil, nil, false
		}
		formats = append(formats, f)
	}
	return formats, b[2*n:], true
}

// formatOf returns the format of the i-th value: none given means text for all,
// one counts for all.
func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	default:
		return 0
	}
}

// bind judges the statement with its parameters: from here on it may run.
func (s *session) bind(msg, body []byte) (*wait, error) {
	b, ok := parseBind(body)
	if !ok {
		return nil, fmt.Errorf("%w: Bind", errMalformed)
	}
	if s.tooLong(msgBind, b.statement, b.portal) {
		return nil, nil
	}
	if w := s.settled(); w != nil {
		return w, nil
	}
	st := s.names.statements[b.statement]
	if st == nil {
		s.missing(msgBind, 0, noStatement(b.statement))
		return nil, nil
	}
	r, w, refusal := s.reanalyze(st)
	if w != nil {
		return w, nil
	}
	if refusal == nil && s.names.full() {
		refusal = &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: "too many portals"}
	}
	cmd := &policy.Command{Action: policy.ActionExecute, Text: st.text, Params: b.params, Facts: r.factsOrOpaque("no longer carried")}
	if refusal != nil {
		s.refuse(msgBind, s.guard.Refuse(cmd, refusal).Refused())
		return nil, nil
	}
	return s.judge(cmd, msg, func(v intercept.Verdict, msg []byte) {
		run, v := s.execution(r, cmd, v)
		v = s.known(run, v, st, b.formats)
		if !v.Forward {
			s.refuse(msgBind, v.Refused())
			return
		}
		if st.doubtful && run.rules != nil {
			run = s.reassure(b.statement, st, run)
		}
		p := &portal{statement: st, run: run, formats: b.formats, command: cmd, batch: s.batch, size: len(msg)}
		s.send(msg, entry{kind: msgBind, portal: p, undo: s.names.setPortal(b.portal, p)})
	}), nil
}

// reassure makes sure that a name means the statement that was judged where other
// code could have prepared another by it: it is prepared again. Where SQL has
// prepared it, what will run can't be told. It returns how to bind it.
func (s *session) reassure(name string, st *statement, run *execution) *execution {
	if st.types == nil {
		return run.distrusted()
	}
	s.send(appendClose(nil, 'S', name), entry{kind: msgClose, hidden: true})
	again := appendMessage(nil, msgParse, func(b []byte) []byte {
		return append(appendText(appendText(b, name), st.text), st.types...)
	})
	st.doubtful, st.layout = false, nil
	s.send(again, entry{kind: msgParse, hidden: true, undo: func() { st.doubtful = true }})
	run.plan = nil // of the layout that another may have
	return run
}

// describe passes on a question about a statement or portal that is known.
func (s *session) describe(msg, body []byte) (*wait, error) {
	kind, name, ok := cutTarget(body)
	if !ok {
		return nil, fmt.Errorf("%w: Describe", errMalformed)
	}
	if s.tooLong(msgDescribe, name) {
		return nil, nil
	}
	if w := s.settled(); w != nil {
		return w, nil
	}
	if kind == 'S' {
		st := s.names.statements[name]
		if st == nil {
			s.missing(msgDescribe, kind, noStatement(name))
			return nil, nil
		}
		if st.doubtful {
			st = &statement{} // the answer may be about another
		}
		s.send(msg, entry{kind: msgDescribe, statement: st})
		return nil, nil
	}
	p := s.names.portals[name]
	if p == nil {
		s.missing(msgDescribe, kind, noPortal(name))
		return nil, nil
	}
	if p.cursor != nil {
		s.send(msg, entry{kind: msgDescribe}) // its rows come by FETCH, which is judged
		return nil, nil
	}
	s.send(msg, entry{kind: msgDescribe, portal: p, undo: p.describe()})
	return nil, nil
}

// cutTarget parses the body of a Describe or Close.
func cutTarget(body []byte) (kind byte, name string, ok bool) {
	if len(body) == 0 || body[0] != 'S' && body[0] != 'P' {
		return 0, "", false
	}
	name, rest, ok := cutString(body[1:])
	return body[0], name, ok && len(rest) == 0
}

// execute lets a bound portal run. It was judged when it was bound; it is judged
// again if the policy, or what its names mean, has changed since.
func (s *session) execute(msg, body []byte) (*wait, error) {
	name, rest, ok := cutString(body)
	if !ok || len(rest) != 4 {
		return nil, fmt.Errorf("%w: Execute", errMalformed)
	}
	if s.tooLong(msgExecute, name) {
		return nil, nil
	}
	if w := s.settled(); w != nil {
		return w, nil
	}
	p := s.names.portals[name]
	if p == nil || p.statement == nil {
		s.missing(msgExecute, 0, noPortal(name))
		return nil, nil
	}
	if p.run.query.usesNames {
		if w, stop := s.nameChanged(p); stop {
			return w, nil
		}
	}
	if p.run.query.looksUpLate {
		if w, stop := s.pathChanged(p); stop {
			return w, nil
		}
	}
	if !s.guard.Current(p.run.verdict) {
		return s.judge(p.command, msg, func(v intercept.Verdict, msg []byte) {
			run, v := s.execution(p.run.query, p.command, v)
			if !v.Forward {
				s.refuse(msgExecute, v.Refused())
				return
			}
			run.used = p.run.used
			p.run, p.described = run, false
			s.sendExecute(msg, name, p)
		}), nil
	}
	s.sendExecute(msg, name, p)
	return nil, nil
}

// nameChanged looks at a portal whose statement is itself about a name, as
// EXECUTE and FETCH are: the name must still mean what was judged. It reports
// whether the Execute ends here, with a wait or refused.
func (s *session) nameChanged(p *portal) (*wait, bool) {
	r, w, refusal := s.reanalyze(p.statement)
	if w != nil {
		return w, true
	}
	if refusal == nil && !r.sameMeaning(p.run.query) {
		refusal = &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "the name has been given another meaning since the statement was bound", Retryable: true}
	}
	if refusal != nil {
		s.refuse(msgExecute, s.guard.Refuse(p.command, refusal).Refused())
		return nil, true
	}
	return nil, false
}

// pathChanged looks at a portal whose names are looked up when it is executed: the search path must still be the
// one by which it was judged.
func (s *session) pathChanged(p *portal) (*wait, bool) {
	var refusal *intercept.Refusal
	if !s.path.known {
		var w *wait
		if w, refusal = s.askPath(); w != nil {
			return w, true
		}
	}
	if refusal == nil && s.path.setting != p.run.query.catalogue.setting {
		refusal = &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "search_path has been changed since the statement was bound", Retryable: true}
	}
	if refusal != nil {
		s.refuse(msgExecute, s.guard.Refuse(p.command, refusal).Refused())
		return nil, true
	}
	return nil, false
}

// sendExecute sends an Execute, behind a Describe of the gateway's own where the
// layout of rows to be masked is not known otherwise.
func (s *session) sendExecute(msg []byte, name string, p *portal) {
	s.doubt(p.run, p)
	if p.doubtful && p.run.rules != nil {
		p.run, p.described = p.run.distrusted(), false
	}
	if p.run.copies != nil {
		s.describeCopies(p.run, false)
	} else if !p.run.passes() && p.run.plan == nil && !p.described {
		s.send(appendDescribePortal(nil, name), entry{kind: msgDescribe, portal: p, hidden: true, undo: p.describe()})
	}
	if l := p.run.limit; l != nil && l.Timeout != 0 && s.queue.size > 0 {
		// The clock starts when all before has been answered, which the server would
		// otherwise hold back until the statement is done.
		s.toServer = append(s.toServer, msgFlush, 0, 0, 0, 4)
	}
	s.send(msg, entry{
		kind: msgExecute, portal: p, run: p.run, judged: true, verdict: p.run.verdict,
		renames: p.run.query.renames,
	})
}

// close passes on the end of a name's meaning.
func (s *session) close(msg, body []byte) (*wait, error) {
	kind, name, ok := cutTarget(body)
	if !ok {
		return nil, fmt.Errorf("%w: Close", errMalformed)
	}
	if s.tooLong(msgClose, name) {
		return nil, nil
	}
	if w := s.settled(); w != nil {
		return w, nil
	}
	if kind == 'S' {
		s.send(msg, entry{kind: msgClose, undo: s.names.setStatement(name, nil)})
		return nil, nil
	}
	s.send(msg, entry{kind: msgClose, undo: s.names.setPortal(name, nil)})
	return nil, nil
}
