package pgproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unique"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// A functionCall is a parsed FunctionCall, the message of the fast path: it calls a
// function by its OID.
type functionCall struct {
	function uint32
	params   []policy.Param
	// format is that of the result.
	format mask.Format
}

// parseFunctionCall parses the body of a FunctionCall (manual, "Message Formats").
func parseFunctionCall(body []byte) (*functionCall, bool) {
	oid, body, ok := cutInt32(body)
	if !ok {
		return nil, false
	}
	formats, body, ok := cutFormats(body)
	if !ok {
		return nil, false
	}
	c := &functionCall{function: uint32(oid)}
	if c.params, body, ok = cutParams(body, formats); !ok {
		return nil, false
	}
	format, body, ok := cutInt16(body)
	c.format = mask.Format(format)
	return c, ok && len(body) == 0 && (format == 0 || format == 1)
}

// functionCall judges a call by the fast path as the statement that selects the
// function's value.
func (s *session) functionCall(msg, body []byte) (*wait, error) {
	call, ok := parseFunctionCall(body)
	if !ok {
		return nil, fmt.Errorf("%w: FunctionCall", errMalformed)
	}
	c, w, refusal := s.catalogueWith(call.function)
	if w != nil {
		return w, nil
	}
	p := c.procedures[call.function]
	if refusal != nil || p == nil {
		s.missingFunction(call, refusal)
		return nil, nil
	}
	r, w, refusal, _ := s.analyze(p.selected(len(call.params)))
	if w != nil {
		return w, nil
	}
	cmd := &policy.Command{Action: policy.ActionExecute, Text: c.selectedTyped(p, len(call.params)), Params: call.params}
	if refusal != nil {
		cmd.Facts = r.factsOrOpaque(refusal.Reason)
		s.refuse(msgFunctionCall, s.guard.Refuse(cmd, refusal).Refused())
		return nil, nil
	}
	if r.catalogue != c {
		return s.functionCall(msg, body) // another session has brought a newer one
	}
	s.analysed = nil
	cmd.Facts = r.facts
	return s.judge(cmd, msg, func(v intercept.Verdict, msg []byte) {
		s.sendFunctionCall(msg, r, cmd, v, p.layout(call.format))
	}), nil
}

// sendFunctionCall sends a judged call, or what fails in its place.
func (s *session) sendFunctionCall(msg []byte, r *resolved, cmd *policy.Command, v intercept.Verdict, layout []byte) {
	run, v := s.execution(r, cmd, v)
	run.result = layout
	run.endsTransaction = s.open // what stands before it in its batch is committed with it
	if v.Forward && run.rules != nil && run.rules.refuseUntraced && errors.Is(s.planRows(run, layout, nil), errUntraced) {
		v = s.guard.Withhold(v, untraced())
	}
	if !v.Forward {
		s.refuse(msgFunctionCall, v.Refused())
		return
	}
	wrapped := s.wrap(run)
	s.doubt(run, nil)
	s.send(msg, entry{kind: msgFunctionCall, run: run, judged: true, verdict: v, wrapped: wrapped})
	s.nextBatch()
}

// catalogueWith returns the catalogue, made anew if it does not have the function
// and that may help.
func (s *session) catalogueWith(function uint32) (*catalogue, *wait, *intercept.Refusal) {
	w, refusal := s.refreshCatalogue()
	c := s.catalogue()
	if w != nil || refusal != nil || c.procedures[function] != nil {
		return c, w, refusal
	}
	if !s.shelf.stale.Swap(true) && time.Since(c.loaded) > minRefresh {
		w, refusal = s.refreshCatalogue()
	}
	return s.catalogue(), w, refusal
}

// missingFunction refuses the call of a function that the catalogue does not have.
// Unless the open transaction may have made it, the server does not have it either.
func (s *session) missingFunction(call *functionCall, r *intercept.Refusal) {
	reason := fmt.Sprintf("function with OID %d does not exist", call.function)
	c := &complaint{code: "42883", message: reason}
	switch {
	case r != nil:
		c = nil
	case s.catalogueChanged:
		c, r = nil, &intercept.Refusal{
			Code: intercept.CodeUnsupported, Reason: fmt.Sprintf("the gateway does not know the function with OID %d", call.function),
			Hint: "commit what has made it, or call it by its name",
		}
	default:
		r = &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: reason}
	}
	cmd := nameless(r.Reason)
	cmd.Params = call.params
	r = s.guard.Refuse(cmd, r).Refused()
	s.refuseAs(msgFunctionCall, r, c)
}

// functionAnswer looks at an answer to a FunctionCall.
func (s *session) functionAnswer(e *entry, typ byte, body []byte) error {
	if typ == msgReadyForQuery {
		return s.ready(e, body)
	}
	if typ != msgFunctionResponse {
		return unexpected(typ)
	}
	if err := s.expectResult(e); err != nil {
		return err
	}
	defer s.functionReturned(e)
	if e.run.passes() {
		if !s.admit(e, len(body)) {
			s.outgoing.change()
		}
		return nil
	}
	value, changed, err := maskedValue(e.run.plan, body)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	if !s.admit(e, len(value)) {
		s.outgoing.change()
		return nil
	}
	if changed {
		s.outgoing.change()
		s.outgoing.out = appendMessage(s.outgoing.out, msgFunctionResponse, func(b []byte) []byte { return append(b, value...) })
	}
	return nil
}

// beginFunctionAnswer passes on a result of n bytes whose end has not come yet. It
// reports whether it could.
func (s *session) beginFunctionAnswer(n int) (bool, error) {
	e := s.queue.front()
	if e == nil || e.kind != msgFunctionCall || e.refusal != nil {
		return false, unexpected(msgFunctionResponse)
	}
	if err := s.expectResult(e); err != nil || !e.run.passes() {
		return false, err
	}
	s.passPartial(n, 1)
	s.functionReturned(e)
	return true, nil
}

// expectResult makes ready for the result of a call, which comes once.
func (s *session) expectResult(e *entry) error {
	if e.run == nil || e.run.current > 0 {
		return unexpected(msgFunctionResponse)
	}
	if e.run.rules == nil {
		return nil
	}
	return s.planRows(e.run, e.run.result, nil)
}

// maskedValue masks the body of a FunctionCallResponse, which is that of a row with one
// column but for the number of columns. It reports whether anything was changed.
func maskedValue(plan *mask.Plan, body []byte) ([]byte, bool, error) {
	row := append([]byte{0, 1}, body...)
	out, changed, err := plan.Rewrite(nil, row)
	if err != nil || !changed {
		return body, false, err
	}
	return out[2:], true, nil
}

// functionReturned notes that the function has been run.
func (s *session) functionReturned(e *entry) {
	s.statementDone(e)
	e.status = "FUNCTION CALL"
}

// appendFunctionCall appends a FunctionCall without arguments.
func appendFunctionCall(b []byte, function uint32) []byte {
	return appendMessage(b, msgFunctionCall, func(b []byte) []byte {
		return append(binary.BigEndian.AppendUint32(b, function), 0, 0, 0, 0, 0, 0)
	})
}

// noFunction is an OID that no function has.
const noFunction = 0

// A procedure is a function as the fast path names it.
type procedure struct {
	schema, name string
	// arguments are the OIDs of the declared arguments' types, in decimal.
	arguments string
	result    uint32
	// own says that it is not built in.
	own bool
}

// layout describes the result as a RowDescription would describe the only column of
// a SELECT.
func (p *procedure) layout(format mask.Format) []byte {
	b := append(appendText([]byte{0, 1}, p.name), 0, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, p.result)
	return append(b, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, byte(format))
}

// selected is the statement that calls the function with n parameters. What is not
// built in but stands among the built-in functions is named without a schema, so that
// it is not taken for the built-in one of its name.
func (p *procedure) selected(n int) string {
	name := p.qualified()
	if p.own && p.schema == "pg_catalog" {
		name = quotedName(p.name)
	}
	return selectedText(name, n, func(int) string { return "" })
}

// selectedTyped is the same with the types that tell the function from others of its
// name.
func (c *catalogue) selectedTyped(p *procedure, n int) string {
	types := strings.Fields(p.arguments)
	return selectedText(p.qualified(), n, func(i int) string {
		if i >= len(types) || c.typeNames[types[i]] == "" {
			return ""
		}
		return "::" + c.typeNames[types[i]]
	})
}

func (p *procedure) qualified() string {
	return schemaIdentifier(p.schema) + "." + memberIdentifier(p.name)
}

func selectedText(name string, n int, cast func(i int) string) string {
	var b strings.Builder
	b.WriteString("SELECT " + name + "(")
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d%s", i+1, cast(i))
	}
	b.WriteByte(')')
	return b.String()
}

// schemaIdentifier writes a schema's name as SQL reads it; it could be a keyword.
func schemaIdentifier(name string) string {
	switch name {
	case "pg_catalog", "public", "information_schema":
		return name
	default:
		return quotedName(name)
	}
}

// memberIdentifier writes a name that stands behind a dot, where keywords are names too.
func memberIdentifier(name string) string {
	plain := name != "" && (name[0] < '0' || name[0] > '9') && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
	if plain {
		return name
	}
	return quotedName(name)
}

func quotedName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// addProcedure notes a function of pg_proc by its OID.
func (c *catalogue) addProcedure(oid, schema, name, arguments, result string) error {
	ids, err := oids([]string{oid, result})
	if err != nil {
		return fmt.Errorf("function %q: %w", name, err)
	}
	const firstNormal = 16384
	c.procedures[ids[0]] = &procedure{
		schema: unique.Make(schema).Value(), name: unique.Make(name).Value(), arguments: unique.Make(arguments).Value(), // catalogues share them
		result: ids[1], own: ids[0] >= firstNormal,
	}
	return nil
}

func (c *catalogue) addTypeName(row []string) error {
	c.typeNames[row[0]] = row[1]
	return nil
}
