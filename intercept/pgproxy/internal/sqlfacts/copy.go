package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/headgate/gateway/policy"
)

// copy moves rows between a relation or query on one side and the client, a file
// of the server, or a program that the server runs on the other.
func (a *analysis) copy(s *pg.CopyStmt) {
	a.st.Tag = "COPY"
	a.st.Copy = copyKind(s)
	a.st.CopyOptions = copyOptions(s.GetOptions())
	a.exactOnly = a.exactOnly || len(s.GetOptions()) > 0
	a.copyEnd(s)
	if s.GetQuery() != nil {
		a.copyQuery(s)
		return
	}
	if s.GetWhereClause() != nil {
		a.st.Where = true
	}
	verb := policy.VerbRead
	if s.GetIsFrom() {
		verb = policy.VerbCreate
	}
	u := a.relation(verb, "table", s.GetRelation())
	for _, name := range copyColumns(s) {
		u.columns.add(ColumnRef{Name: name})
		a.st.Output = append(a.st.Output, OutputColumn{Name: name, Star: name == "*"})
	}
	src := &source{name: u.name, schema: u.schema, use: u}
	where := expr{a: a, sc: &scope{sources: []*source{src}}}
	where.filtering().node(s.GetWhereClause())
	a.copied(s)
}

// copied settles whether rows come back and where else they go.
func (a *analysis) copied(s *pg.CopyStmt) {
	a.st.Rows = a.st.Copy == CopyToStdout
	if !a.st.Rows {
		a.st.Output = nil
	}
	if !s.GetIsFrom() && a.st.Copy != CopyToStdout {
		a.wroteDerived = true
	}
}

func copyColumns(s *pg.CopyStmt) []string {
	if names := stringsOf(s.GetAttlist()); len(names) > 0 {
		return names
	}
	return []string{"*"}
}

func (a *analysis) copyQuery(s *pg.CopyStmt) {
	inner := a.nested(s.GetQuery())
	a.absorb(inner)
	a.st.Output = a.st.Inner.Output
	a.copied(s)
}

// copyEnd is the effect on what is not a relation.
func (a *analysis) copyEnd(s *pg.CopyStmt) {
	switch a.st.Copy {
	case CopyFromProgram, CopyToProgram:
		a.effect(policy.VerbExecute, "program", "", s.GetFilename())
		a.opaque("COPY PROGRAM")
	case CopyFromFile:
		a.effect(policy.VerbRead, "file", "", s.GetFilename())
	case CopyToFile:
		a.effect(policy.VerbUpdate, "file", "", s.GetFilename())
	default:
	}
}

func copyKind(s *pg.CopyStmt) CopyKind {
	switch from := s.GetIsFrom(); {
	case s.GetIsProgram() && from:
		return CopyFromProgram
	case s.GetIsProgram():
		return CopyToProgram
	case s.GetFilename() != "" && from:
		return CopyFromFile
	case s.GetFilename() != "":
		return CopyToFile
	case from:
		return CopyFromStdin
	}
	return CopyToStdout
}
