package pgproxy

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// fields is the parsed content of an ErrorResponse or NoticeResponse (manual,
// "Error and Notice Message Fields").
type fields struct {
	severity, code string
	routine        string // of the server's source, where it was raised
	within         bool   // raised inside a function or trigger
	positioned     bool   // says where in the client's text it went wrong
	nested         bool   // is about a text that the client did not send
	raw            []byte
}

func parseFields(body []byte) (fields, error) {
	f := fields{raw: body, severity: severityError, code: "XX000"}
	for rest := body; ; {
		if len(rest) == 0 {
			return f, fmt.Errorf("%w: error fields are not terminated", errMalformed)
		}
		code := rest[0]
		if code == 0 {
			if len(rest) != 1 {
				return f, fmt.Errorf("%w: bytes behind the error fields", errMalformed)
			}
			return f, nil
		}
		value, next, ok := cutString(rest[1:])
		if !ok {
			return f, fmt.Errorf("%w: error field", errMalformed)
		}
		rest = next
		switch code {
		case 'V':
			f.severity = value
		case 'C':
			f.code = value
		case 'R':
			f.routine = value
		case 'W':
			f.within = true
		case 'P':
			f.positioned = true
		case 'q', 'p':
			f.nested = true
		}
	}
}

// fatal reports whether the server ends the connection.
func (f fields) fatal() bool { return f.severity == severityFatal || f.severity == "PANIC" }

// serverError passes on, rewrites or scrubs an error, and follows what the
// server skips after it.
func (s *session) serverError(e *entry, body []byte) error {
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	if e == nil || f.fatal() {
		s.scrub(e, msgError, f)
		return nil
	}
	state := f.code
	if s.mayQuote(e, f) {
		state = f.shownState(msgError)
	}
	if err := s.tellError(e, f); err != nil {
		return err
	}
	e.copying = false
	s.path.failed()
	s.copyInOver(e)
	s.failed = s.failed || e.collect == nil
	s.finish(e, intercept.Outcome{Status: "error", Failure: state})
	s.skipAfterError(e)
	return nil
}

// tellError says to the client that e has failed: with the server's words, or
// with the gateway's where that is who made it fail, or not at all where the
// client knows nothing of e.
func (s *session) tellError(e *entry, f fields) error {
	switch {
	case e.bracket && !e.last:
		return fmt.Errorf("%w: BEGIN failed", errMalformed)
	case e.rollsBack:
		s.outgoing.change() // the client has been told of what counts
	case e.refusal != nil:
		s.outgoing.change()
		s.outgoing.out = appendEntryRefusal(s.outgoing.out, e, f)
	case e.over != nil && (e.withheld || f.code == queryCanceled):
		s.tellLimit(e, e.over)
	case e.collect != nil:
		s.outgoing.change()
		e.collect.failed = f.code
	case e.path != nil:
		s.pathNotTold(e, f)
	case e.copied != nil:
		s.copyNotDescribed(e, f)
	case e.run != nil && e.run.copyFailed != "" && e.run.isCopy(sqlfacts.CopyToStdout):
		s.outgoing.change()
		s.outgoing.out = appendCopyError(s.outgoing.out, e.run.copyFailed)
	default:
		s.scrub(e, msgError, f)
	}
	return nil
}

// skipAfterError follows the server: after an error of the extended protocol it
// skips to the next Sync; after one of a Query, a FunctionCall or a Sync it goes on.
func (s *session) skipAfterError(e *entry) {
	if e.kind == msgQuery || e.kind == msgFunctionCall || e.kind == msgSync {
		return
	}
	found := s.queue.abort(func(skipped *entry) {
		s.finish(skipped, intercept.Outcome{Status: "skipped"})
		if skipped.kind == msgQuery || skipped.kind == msgFunctionCall {
			s.answered++ // its ReadyForQuery does not come
		}
		s.namesPending -= skipped.renames
		s.leaves(skipped)
	})
	if !found {
		s.discarding = true
	}
	s.moved.Broadcast()
}

// appendEntryRefusal appends what the client is told in place of the failing
// message's error f.
func appendEntryRefusal(b []byte, e *entry, f fields) []byte {
	if e.complaint != nil && e.kind == msgFunctionCall && f.code == inFailedTransaction {
		return appendMessage(b, msgError, func(b []byte) []byte { return append(b, f.raw...) }) // the server looks at that first
	}
	if e.complaint == nil {
		return appendRefusal(b, severityError, e.refusal)
	}
	return appendComplaint(b, f, e.complaint)
}

// inFailedTransaction is the SQLSTATE of what is ignored until the transaction ends.
const inFailedTransaction = "25P02"

// notice passes on or scrubs a notice.
func (s *session) notice(e *entry, body []byte) error {
	if e != nil && (e.hidden && !e.bracket || e.refusal != nil) {
		s.outgoing.change()
		return nil //nolint:nilerr // a refusal is an answer
	}
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	s.scrub(e, msgNotice, f)
	return nil
}

// scrub takes the texts out of an error or notice that could quote a masked
// value: messages quote what could not be converted, details the row that
// violated a constraint. Severity and position stay, and so do the SQLSTATE and the
// names of objects as far as code has not chosen them.
func (s *session) scrub(e *entry, typ byte, f fields) {
	if !s.mayQuote(e, f) {
		s.search(e, typ, f)
		return
	}
	s.outgoing.change()
	s.outgoing.out = appendMessage(s.outgoing.out, typ, func(b []byte) []byte {
		for rest := f.raw; rest[0] != 0; {
			end := bytes.IndexByte(rest, 0)
			switch rest[0] {
			case 'S', 'V', 'P':
				b = append(b, rest[:end+1]...)
			case 'C':
				b = appendText(append(b, 'C'), f.shownState(typ))
			case 's', 't', 'c', 'd', 'n':
				if f.namesObjects() {
					b = append(b, rest[:end+1]...)
				}
			case 'M':
				if f.constant() {
					b = append(b, rest[:end+1]...)
					break
				}
				b = appendText(append(b, 'M'), "details are withheld: they could quote a masked value")
			}
			rest = rest[end+1:]
		}
		return append(b, 0)
	})
}

// search replaces what rules look for in the texts of an error or notice.
func (s *session) search(e *entry, typ byte, f fields) {
	rules := s.searched
	if run := e.running(); run != nil && run.rules != nil && run.rules.rules.Detects() {
		rules = run.rules.rules
	}
	if rules == nil {
		return
	}
	s.outgoing.change()
	s.outgoing.out = appendMessage(s.outgoing.out, typ, func(b []byte) []byte {
		for rest := f.raw; rest[0] != 0; {
			end := bytes.IndexByte(rest, 0)
			switch rest[0] {
			case 'S', 'V', 'C', 'P', 'p', 'F', 'L', 'R':
				b = append(b, rest[:end+1]...)
			default:
				b = append(rules.Message(append(b, rest[0]), rest[1:end]), 0)
			}
			rest = rest[end+1:]
		}
		return append(b, 0)
	})
}

// mayQuote reports whether the texts could hold a masked value. Outside any
// statement, and where a transaction ends (deferred constraints, triggers), that
// is so as soon as the session has seen masks; within a statement, if that
// statement reaches masked columns or runs code that the gateway can't see.
func (s *session) mayQuote(e *entry, f fields) bool {
	if !s.masksSeen || f.ofText() {
		return false
	}
	run := e.running()
	if run == nil {
		return true
	}
	return run.sensitive || f.within || run.endsTransaction
}

// constant reports whether the message is one of the server's fixed texts, whatever
// rows it was at: that it was told to stop, or ran into a deadlock. Code that
// raises errors can choose their SQLSTATE and text, not the routine.
func (f fields) constant() bool {
	return f.routine == "ProcessInterrupts" || f.routine == "DeadLockReport"
}

// ofText reports whether the error is about the text of the statement itself, such
// as a column that does not exist. The server finds these before it has read any
// row; an error of the same class that a value gives rise to, as in a conversion
// to regclass, has no position in the text.
func (f fields) ofText() bool {
	const syntaxOrNames = "42" // class 42: syntax error or access rule violation
	return strings.HasPrefix(f.code, syntaxOrNames) && f.positioned && !f.within && !f.nested
}

// running returns what the entry runs, nil if it does not run a statement.
func (e *entry) running() *execution {
	if e == nil {
		return nil
	}
	if e.run == nil && e.portal != nil {
		return e.portal.run
	}
	return e.run
}

// parameterStatus passes on what the server reports of its settings, unless code that
// the gateway can't see could have put masked values there. It ends the session where
// a change means that SQL would be read in another way than the gateway reads it.
func (s *session) parameterStatus(body []byte) error {
	name, rest, ok := cutString(body)
	value, rest, ok2 := cutString(rest)
	if !ok || !ok2 || len(rest) != 0 {
		return fmt.Errorf("%w: ParameterStatus", errMalformed)
	}
	if name == "search_path" {
		s.path.reported = value
	}
	if err := checkSetting(name, value); err != nil {
		return err
	}
	if s.unseenRan && holdsAnyText(name) {
		s.outgoing.change()
		return nil
	}
	if s.searched == nil {
		return nil
	}
	if shown := s.searched.Message(nil, []byte(value)); string(shown) != value {
		s.outgoing.change()
		s.outgoing.out = appendParameterStatus(s.outgoing.out, name, string(shown))
	}
	return nil
}

// holdsAnyText reports whether a reported setting can be given any text, and so carry
// values away.
func holdsAnyText(name string) bool {
	switch name {
	case "application_name", "TimeZone", "search_path":
		return true
	default:
		return false
	}
}

// checkSetting refuses values under which the server would read SQL differently.
func checkSetting(name, value string) error {
	switch name {
	case "standard_conforming_strings":
		if value != "on" {
			return fmt.Errorf("pgproxy: server has %s = %s", name, value)
		}
	case "client_encoding":
		if !isUTF8(value) {
			return fmt.Errorf("pgproxy: server has %s = %s", name, value)
		}
	}
	return nil
}

// notification passes on a notification, without its payload unless the host lets
// payloads through.
func (s *session) notification(body []byte) error {
	if len(body) < 4 {
		return fmt.Errorf("%w: NotificationResponse", errMalformed)
	}
	channel, rest, ok := cutString(body[4:])
	payload, rest, ok2 := cutString(rest)
	if !ok || !ok2 || len(rest) != 0 {
		return fmt.Errorf("%w: NotificationResponse", errMalformed)
	}
	shown := ""
	if s.proxy.cfg.PassNotifications {
		if s.searched == nil {
			return nil
		}
		shown = string(s.searched.Message(nil, []byte(payload)))
	}
	s.outgoing.change()
	s.outgoing.out = appendMessage(s.outgoing.out, msgNotification, func(b []byte) []byte {
		return appendText(appendText(append(b, body[:4]...), channel), shown)
	})
	return nil
}
