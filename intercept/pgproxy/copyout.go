package pgproxy

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
	"github.com/headgate/gateway/intercept/pgproxy/internal/pgparse"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// copyOut is a COPY TO STDOUT whose values are masked. The server says of what it
// sends only how many columns there are, so the gateway asks it to describe a
// query of the same columns: the one in the parentheses, or one of the table.
type copyOut struct {
	config copystream.Config
	query  string
	// wholeTable says that the query has all columns of a table, of which COPY
	// leaves out the generated ones.
	wholeTable bool
	// rows is what the query is made of.
	rows   *sqlfacts.Statement
	fields []field
	// failed is the SQLSTATE with which the server would not describe the query.
	failed string
	stream *copystream.Stream
}

// copies reports whether the statement that runs now is of a kind of COPY.
func (x *execution) copies(kind sqlfacts.CopyKind) bool {
	return x.current < len(x.query.traced) && x.query.traced[x.current].statement.Copy == kind
}

// prepareCopy makes ready for a COPY TO STDOUT whose values are to be masked, and
// says why that can't be done.
func (s *session) prepareCopy(x *execution) *intercept.Refusal {
	for _, t := range x.query.traced {
		if t.statement.Copy != sqlfacts.CopyToStdout {
			continue
		}
		if len(x.query.traced) > 1 {
			r := unmaskable("COPY stands among other statements")
			r.Hint = "send it on its own"
			return r
		}
		c, err := s.proxy.newCopyOut(t.statement, x.text)
		if err != nil {
			return unmaskable(err.Error())
		}
		x.copy = c
	}
	return nil
}

// copyFormat is how rows are written under the options of a COPY.
func copyFormat(o *sqlfacts.CopyOptions) (copystream.Config, error) {
	c := copystream.Config{NullText: o.Null, Header: o.Header}
	if o.Unknown != "" {
		return c, fmt.Errorf("option %q of COPY", o.Unknown)
	}
	switch o.Format {
	case "text":
		c.Format = copystream.Text
	case "csv":
		c.Format = copystream.CSV
	case "binary":
		c.Format = copystream.Binary
	default:
		return c, fmt.Errorf("format %q of COPY", o.Format)
	}
	for _, b := range []struct {
		to   *byte
		text string
	}{{&c.Delimiter, o.Delimiter}, {&c.Quote, o.Quote}, {&c.Escape, o.Escape}} {
		if len(b.text) == 1 {
			*b.to = b.text[0]
		}
	}
	return c, nil
}

func (p *Interceptor) newCopyOut(st *sqlfacts.Statement, text string) (*copyOut, error) {
	config, err := copyFormat(&st.CopyOptions)
	if err != nil {
		return nil, err
	}
	config.MaxValue = p.cfg.MaxMessageBytes
	c := &copyOut{config: config}
	if err := c.config.Check(); err != nil {
		return nil, err
	}
	if st.Inner == nil {
		c.query, c.wholeTable = tableQuery(st)
	} else {
		c.query = pgparse.FirstParentheses(text)
	}
	q, err := p.analyzer.Analyze(c.query)
	if err == nil && len(q.Statements) == 1 {
		c.rows = q.Statements[0]
	}
	if c.rows == nil || st.Inner != nil && (!reflect.DeepEqual(c.rows.Effects, st.Inner.Effects) || !reflect.DeepEqual(c.rows.Functions, st.Inner.Functions)) {
		return nil, fmt.Errorf("the query of COPY could not be told from its options")
	}
	return c, nil
}

// tableQuery returns a query of the columns of a table that COPY sends, and
// whether these are all.
func tableQuery(st *sqlfacts.Statement) (query string, all bool) {
	columns := make([]string, len(st.Output))
	for i, o := range st.Output {
		if columns[i] = quoteIdentifier(o.Name); o.Star {
			columns[i], all = "*", true
		}
	}
	table := st.Effects[0]
	name := quoteIdentifier(table.Name)
	if table.Schema != "" {
		name = quoteIdentifier(table.Schema) + "." + name
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + name, all
}

func quoteIdentifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// copyName is the statement by which the query of a COPY is described.
const copyName = "headgate_copy"

// describeCopy sends the question what the rows of a COPY are. Behind a Sync it
// stands alone; within a batch it fails as the COPY would.
func (s *session) describeCopy(x *execution, alone bool) {
	closing := func(b []byte) []byte { return appendText(append(b, 'S'), copyName) }
	b := appendMessage(nil, msgClose, closing)
	b = appendParse(b, copyName, x.copy.query)
	b = appendMessage(b, msgDescribe, closing)
	b = appendMessage(b, msgClose, closing)
	e := entry{kind: msgDescribe, hidden: true, copied: x}
	if alone {
		e.kind = msgSync
		b = append(b, msgSync, 0, 0, 0, 4)
	}
	s.send(b, e)
	if alone {
		s.nextBatch()
	}
}

// copyDescribed takes the answer to describeCopy.
func (s *session) copyDescribed(e *entry, typ byte, body []byte) error {
	x := e.copied
	switch typ {
	case msgParseComplete, msgParameterDesc, msgNoData:
	case msgRowDescription:
		var err error
		if x.copy.fields, err = parseLayout(body, nil); err != nil {
			return err
		}
		format := int16(0)
		if x.copy.config.Format == copystream.Binary {
			format = 1
		}
		return s.planRows(x, body, []int16{format})
	case msgCloseComplete:
		if e.closes++; e.closes == 2 && e.kind == msgDescribe {
			s.done()
		}
	case msgReadyForQuery:
		return s.ready(e, body)
	default:
		return unexpected(typ)
	}
	return nil
}

// copyNotDescribed treats an error of describeCopy.
func (s *session) copyNotDescribed(e *entry, f fields) {
	s.outgoing.change()
	if e.kind == msgSync {
		e.copied.copy.failed = f.code // the COPY itself fails next
		return
	}
	s.outgoing.out = appendCopyError(s.outgoing.out, f.code)
}

func appendCopyError(b []byte, code string) []byte {
	return appendProblem(b, msgError, problem{severity: severityError, code: code, message: "headgate: the server would not say what COPY sends"})
}

// copyOutBegins fixes how the rows that follow are masked.
func (s *session) copyOutBegins(e *entry, body []byte) error {
	format, n, err := parseCopyResponse(body)
	if err != nil {
		return err
	}
	if e.copying || !e.run.copies(sqlfacts.CopyToStdout) {
		return unexpected(msgCopyOutResponse)
	}
	e.copying = true
	e.heading = e.run.query.traced[e.run.current].statement.CopyOptions.Header && format == 0
	if err := s.trusted(); err != nil {
		return err
	}
	x := e.run
	if x.passes() {
		return nil
	}
	if x.copy == nil || x.plan == nil || (format == 1) != (x.copy.config.Format == copystream.Binary) {
		return fmt.Errorf("%w: what COPY sends is not known", errUnmaskable)
	}
	places := x.copy.places(x.query.catalogue)
	if len(places) != n {
		return fmt.Errorf("%w: COPY sends %d columns, not %d", errUnmaskable, n, len(places))
	}
	plan, config := x.plan, x.copy.config
	for _, place := range places {
		config.Columns = append(config.Columns, plan.Method(place) != "")
	}
	config.Value = func(dst []byte, column int, value []byte) ([]byte, bool) {
		return plan.Value(dst, places[column], value)
	}
	config.Null = func(dst []byte, column int) ([]byte, bool) { return plan.Null(dst, places[column]) }
	x.copy.stream, err = copystream.New(config)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	return nil
}

// places are the columns that COPY sends, as places in the query's layout.
func (c *copyOut) places(cat *catalogue) []int {
	var places []int
	for i, f := range c.fields {
		rel := cat.byOID[f.table]
		if c.wholeTable && rel != nil && rel.isGenerated[f.number] {
			continue
		}
		places = append(places, i)
	}
	return places
}

// copyOutData releases what the server sends of a COPY, masked where its plan says
// so. data need not be whole rows.
func (s *session) copyOutData(e *entry, data []byte) error {
	if !e.copying {
		return unexpected(msgCopyData)
	}
	if err := s.trusted(); err != nil {
		return err
	}
	if e.run.passes() {
		if !s.admitRows(e, len(data), e.copiedRows(data)) {
			s.outgoing.change()
		}
		return nil
	}
	return s.maskCopied(e, data)
}

func (s *session) maskCopied(e *entry, data []byte) error {
	o := &s.outgoing
	o.change()
	start, stream := len(o.out), e.run.copy.stream
	before := stream.Rows()
	out, err := stream.Write(append(o.out, msgCopyData, 0, 0, 0, 0), data)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	if len(out) == start+headerSize {
		out = out[:start] // all of it is held
	} else {
		binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1))
	}
	if s.admitRows(e, len(out)-start, stream.Rows()-before) {
		o.out = out
	}
	return nil
}

// copying reports whether a message of the server's is a part of a COPY.
func (s *session) copying(typ byte) bool {
	e := s.queue.front()
	return typ == msgCopyData && e != nil && e.copying
}

// copyOutEnds notes that the server has sent all rows.
func (s *session) copyOutEnds(e *entry) error {
	if !e.copying {
		return unexpected(msgCopyDone)
	}
	e.copying = false
	if e.run.passes() {
		return nil
	}
	if err := e.run.copy.stream.End(); err != nil {
		return fmt.Errorf("%w: %w", errUnmaskable, err)
	}
	return nil
}
