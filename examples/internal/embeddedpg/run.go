package embeddedpg

import (
	"context"
	"database/sql/driver"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"modernc.org/sqlite"
)

// A column describes one column of a result.
type column struct {
	name  string
	typ   dataType
	known bool // typ comes from a declaration
	table uint32
	place uint16
}

// A result is what a statement came to.
type result struct {
	columns []column
	rows    [][]driver.Value
	tag     string
}

// run carries out one statement in the session's transaction.
func (s *session) run(ctx context.Context, st *statement, args []driver.Value) (*result, error) {
	switch st.verb {
	case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release":
		tag, err := s.control(ctx, st)
		return &result{tag: tag}, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	switch st.verb {
	case "set", "reset", "discard":
		tag, err := s.change(st)
		return &result{tag: tag}, err
	case "deallocate":
		return &result{tag: "DEALLOCATE"}, s.deallocate(st)
	case "show":
		return s.show(st)
	}
	if len(args) < st.params {
		return nil, &problem{"42P02", "there is no parameter $" + strconv.Itoa(len(args)+1)}
	}
	return s.execute(ctx, st, args[:st.params])
}

// execute runs a statement on the engine.
func (s *session) execute(ctx context.Context, st *statement, args []driver.Value) (*result, error) {
	columns, err := s.describe(ctx, st)
	if err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		n, err := s.engine.change(ctx, st.sql, args)
		if err == nil && st.changesSchema() {
			err = s.engine.refreshCatalogue(ctx)
		}
		return &result{tag: commandTag(st, n)}, err
	}
	rows, err := s.engine.read(ctx, st.sql, args, maxResultBytes)
	if err != nil {
		return nil, err
	}
	inferTypes(columns, rows)
	return &result{columns: columns, rows: rows, tag: commandTag(st, int64(len(rows)))}, nil
}

// describe finds the columns of a statement's result. Expressions have no type
// yet.
func (s *session) describe(ctx context.Context, st *statement) ([]column, error) {
	if st.verb == "show" {
		return []column{{name: foldCase(settingName(st)), typ: textType(), known: true}}, nil
	}
	if !st.isEngine() {
		return nil, nil
	}
	infos, err := s.engine.columns(st.sql)
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(infos))
	for i, info := range infos {
		columns[i] = column{name: columnName(info), typ: textType()}
		c := &columns[i]
		if info.OriginName == "" {
			continue
		}
		c.typ, c.known = declaredType(info.DeclType), true
		if st.merges() {
			continue
		}
		if c.table, c.place, err = s.engine.place(ctx, info.DatabaseName, info.TableName, info.OriginName); err != nil {
			return nil, err
		}
	}
	return columns, nil
}

// forecast is describe for a statement that is not run yet: the types of
// expressions are taken from a trial run with NULLs for parameters.
func (s *session) forecast(ctx context.Context, st *statement) ([]column, error) {
	columns, err := s.describe(ctx, st)
	if err != nil || len(columns) == 0 || !st.isEngine() || !st.isPure() {
		return columns, err
	}
	rows, err := s.engine.read(ctx, "SELECT * FROM ("+st.sql+") LIMIT 20", make([]driver.Value, st.params), maxResultBytes)
	if err != nil {
		return columns, nil //nolint:nilerr // it may well work with real parameters
	}
	inferTypes(columns, rows)
	return columns, nil
}

// inferTypes gives columns without a declared type the type of their values.
func inferTypes(columns []column, rows [][]driver.Value) {
	for i := range columns {
		if columns[i].known {
			continue
		}
		seen := false
		for _, row := range rows {
			t, ok := valueType(row[i])
			if ok && seen {
				t = widerType(columns[i].typ, t)
			}
			if ok {
				columns[i].typ, seen = t, true
			}
		}
	}
}

// columnName names a column as PostgreSQL would: an expression after its
// function, or "?column?".
func columnName(info sqlite.ColumnInfo) string {
	if info.OriginName != "" || isPlainName(info.Name) {
		return info.Name
	}
	name, _, isCall := strings.Cut(info.Name, "(")
	name = strings.TrimSpace(name)
	if isCall && isPlainName(name) && name != "CAST" {
		return foldCase(name)
	}
	return "?column?"
}

// isPlainName reports whether s reads as a name rather than as an expression.
func isPlainName(s string) bool {
	for i := range len(s) {
		if !isNameStart(s[i]) && (i == 0 || !isDigit(s[i]) && s[i] != ' ') {
			return false
		}
	}
	return s != ""
}

func (s *session) show(st *statement) (*result, error) {
	name := settingName(st)
	value, err := s.settings.get(name)
	if err != nil {
		return nil, err
	}
	columns := []column{{name: foldCase(name), typ: textType(), known: true}}
	return &result{columns: columns, rows: [][]driver.Value{{value}}, tag: "SHOW"}, nil
}

func settingName(st *statement) string {
	switch {
	case st.at(1).is("time") && st.at(2).is("zone"):
		return "timezone"
	case st.at(1).is("transaction") && st.at(2).is("isolation"):
		return "transaction_isolation"
	default:
		return st.at(1).text
	}
}

func (s *session) deallocate(st *statement) error {
	name := st.tokens[len(st.tokens)-1]
	if name.is("all") {
		clear(s.prepared)
		return nil
	}
	if _, ok := s.prepared[name.text]; !ok {
		return &problem{"26000", `prepared statement "` + name.text + `" does not exist`}
	}
	delete(s.prepared, name.text)
	return nil
}

// tagOf is the command tag of a statement without a count.
func tagOf(verb string) string {
	switch verb {
	case "start":
		return "START TRANSACTION"
	default:
		return strings.ToUpper(verb)
	}
}

// commandTag is what CommandComplete says (manual, "Message Formats").
func commandTag(st *statement, rows int64) string {
	count := strconv.FormatInt(rows, 10)
	switch {
	case st.verb == "insert":
		return "INSERT 0 " + count
	case st.verb == "update", st.verb == "delete":
		return tagOf(st.verb) + " " + count
	case st.verb == "create" && st.at(1).is("unique"):
		return "CREATE INDEX"
	case st.changesSchema():
		return tagOf(st.verb) + " " + strings.ToUpper(st.at(1).text)
	case st.has("insert"):
		return "INSERT 0 " + count
	case st.has("update"):
		return "UPDATE " + count
	case st.has("delete"):
		return "DELETE " + count
	default:
		return "SELECT " + count
	}
}

// rowDescription is the message that describes a result.
func rowDescription(columns []column, formats []int16) *pgproto3.RowDescription {
	fields := make([]pgproto3.FieldDescription, len(columns))
	for i, c := range columns {
		fields[i] = pgproto3.FieldDescription{
			Name: []byte(c.name), TableOID: c.table, TableAttributeNumber: c.place, DataTypeOID: c.typ.oid,
			DataTypeSize: c.typ.size, TypeModifier: -1, Format: formatOf(formats, i),
		}
	}
	return &pgproto3.RowDescription{Fields: fields}
}

// formatOf is the format of a column or parameter: none means text, one is for
// all.
func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 0:
		return pgproto3.TextFormat
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	default:
		return pgproto3.TextFormat
	}
}
