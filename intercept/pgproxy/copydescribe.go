package pgproxy

import (
	"crypto/rand"
	"fmt"
	"reflect"
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
		b = appendClose(b, 'S', name)
		b = appendParse(b, name, c.query)
		b = appendMessage(b, msgDescribe, func(b []byte) []byte { return appendText(append(b, 'S'), name) })
		b = appendClose(b, 'S', name)
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

// copyDescribed takes the answer to describeCopies.
func (s *session) copyDescribed(e *entry, typ byte, body []byte) error {
	switch typ {
	case msgParseComplete, msgParameterDesc, msgNoData:
	case msgRowDescription:
		if e.closes%2 != 1 || e.closes/2 >= len(e.describing) {
			return unexpected(typ)
		}
		return s.planCopy(e.copied, e.describing[e.closes/2], body)
	case msgCloseComplete:
		if e.closes++; e.closes == 2*len(e.describing) && e.kind == msgDescribe {
			s.done()
		}
	case msgReadyForQuery:
		return s.ready(e, body)
	default:
		return unexpected(typ)
	}
	return nil
}

// planCopy works out how the rows of the i-th statement are masked, a COPY.
func (s *session) planCopy(x *execution, i int, layout []byte) (err error) {
	c := x.copies[i]
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
