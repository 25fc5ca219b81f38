package pgproxy

import (
	"crypto/rand"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
	"github.com/headgate/gateway/intercept/pgproxy/internal/pgparse"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// prepareCopies makes ready for the COPY TO STDOUT of a text whose values are to be
// masked, and says why that can't be done. They are described before the text runs,
// so what stands before them must leave the columns of tables as they are.
func (s *session) prepareCopies(x *execution) *intercept.Refusal {
	steady := true
	for i, t := range x.query.traced {
		if t.statement.Copy == sqlfacts.CopyToStdout {
			if !steady {
				r := unmaskable("what stands before COPY could change the columns that it sends")
				r.Hint = "send it on its own"
				return r
			}
			c, err := s.proxy.newCopyOut(t.statement, pgparse.StatementAt(x.text, i, len(x.query.traced)))
			if err != nil {
				return unmaskable(err.Error())
			}
			if x.copies == nil {
				x.copies = make([]*copyOut, len(x.query.traced))
			}
			x.copies[i] = c
		}
		steady = steady && t.keepsColumns()
	}
	return nil
}

// keepsColumns reports whether a statement certainly leaves the columns of all
// tables as they are, and what is called by which name.
func (t *traced) keepsColumns() bool {
	st := t.statement
	if st.ChangesCatalog || t.runsUnseen() || len(t.opaque) > 0 {
		return false
	}
	switch st.Tag {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "SET", "SHOW":
		return true
	default:
		return st.Transaction == sqlfacts.TransactionBegin
	}
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
	config.MaxValue = p.cfg.MaxRowBytes
	c := &copyOut{config: config}
	if err := c.config.Check(); err != nil {
		return nil, err
	}
	if st.Inner == nil {
		c.query, c.generated = tableQueries(st)
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

// tableQueries returns a query of the columns of a table that COPY sends and, where
// it sends all but the generated ones, one of the numbers of these.
func tableQueries(st *sqlfacts.Statement) (query, generated string) {
	columns, all := make([]string, len(st.Output)), false
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
	if all {
		generated = `SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid OPERATOR(pg_catalog.=) ` + quoteLiteral(name) +
			`::pg_catalog.regclass AND attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char"`
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + name, generated
}

func quoteLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func quoteIdentifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// ownName is a name for a hidden statement of the session, which no client can know.
func (s *session) ownName() string {
	if s.hiddenName == "" {
		s.hiddenName = "headgate_" + rand.Text()
	}
	return s.hiddenName
}

// describeCopies sends the questions what the rows of each COPY are. Before a Query
// they stand alone; within a batch they fail as the COPY would.
func (s *session) describeCopies(x *execution, alone bool) {
	name := s.ownName()
	var b []byte
	e := entry{kind: msgDescribe, hidden: true, copied: x}
	for i, c := range x.copies {
		if c == nil {
			continue
		}
		b = c.appendQuestions(b, name)
		e.describing = append(e.describing, i)
	}
	if alone {
		e.kind = msgSync
		b = append(b, msgSync, 0, 0, 0, 4)
	}
	s.send(b, e)
	if alone {
		s.nextBatch()
	}
}

// appendQuestions appends what is asked about a COPY, in statements and a portal of
// that name.
func (c *copyOut) appendQuestions(b []byte, name string) []byte {
	b = appendClose(b, 'S', name)
	b = appendParse(b, name, c.query)
	b = appendMessage(b, msgDescribe, func(b []byte) []byte { return appendText(append(b, 'S'), name) })
	b = appendClose(b, 'S', name)
	if c.generated == "" {
		return b
	}
	b = appendParse(b, name, c.generated)
	b = appendMessage(b, msgBind, func(b []byte) []byte { return append(appendText(appendText(b, name), name), 0, 0, 0, 0, 0, 0) })
	b = appendMessage(b, msgExecute, func(b []byte) []byte { return append(appendText(b, name), 0, 0, 0, 0) })
	return appendClose(appendClose(b, 'P', name), 'S', name)
}

// closes is how many Closes are among the questions.
func (c *copyOut) closes() int {
	if c.generated == "" {
		return 2
	}
	return 4
}

// copyDescribed takes the answer to describeCopies.
func (s *session) copyDescribed(e *entry, typ byte, body []byte) error {
	switch typ {
	case msgParseComplete, msgParameterDesc, msgNoData, msgBindComplete, msgCommandComplete:
		return nil
	case msgReadyForQuery:
		return s.ready(e, body)
	}
	if len(e.describing) == 0 {
		return unexpected(typ)
	}
	switch c := e.copied.copies[e.describing[0]]; {
	case typ == msgRowDescription && e.closes == 1:
		return s.planCopy(e.copied, c, body)
	case typ == msgDataRow && e.closes == 2:
		return c.leaveOut(body)
	case typ == msgCloseComplete:
		if e.closes++; e.closes == c.closes() {
			e.describing, e.closes = e.describing[1:], 0
		}
		if len(e.describing) == 0 && e.kind == msgDescribe {
			s.done()
		}
		return nil
	default:
		return unexpected(typ)
	}
}

// leaveOut takes the number of a generated column.
func (c *copyOut) leaveOut(row []byte) error {
	cells, err := parseRow(row)
	if err != nil || len(cells) != 1 {
		return fmt.Errorf("%w: generated column", errMalformed)
	}
	number, err := strconv.ParseInt(cells[0], 10, 16)
	if err != nil {
		return fmt.Errorf("%w: generated column: %w", errMalformed, err)
	}
	c.leftOut = append(c.leftOut, int16(number))
	return nil
}

// planCopy works out how the rows of a COPY are masked.
func (s *session) planCopy(x *execution, c *copyOut, layout []byte) (err error) {
	c.leftOut = nil
	if c.fields, err = parseLayout(layout, nil); err != nil {
		return err
	}
	format := int16(0)
	if c.config.Format == copystream.Binary {
		format = 1
	}
	c.plan, err = s.planOf(x, x.query.catalogue.trace(c.rows, meaning{}), rowShape{layout, []int16{format}, c.config.Ambiguous()})
	return err
}

// copyNotDescribed treats an error of describeCopies.
func (s *session) copyNotDescribed(e *entry, f fields) {
	s.outgoing.change()
	if e.kind == msgSync {
		e.copied.copyFailed = f.code // the COPY itself fails next
		return
	}
	s.outgoing.out = appendCopyError(s.outgoing.out, f.code)
}

func appendCopyError(b []byte, code string) []byte {
	return appendProblem(b, msgError, problem{severity: severityError, code: code, message: "headgate: the server would not say what COPY sends"})
}
