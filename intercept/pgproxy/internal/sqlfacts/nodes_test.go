package sqlfacts

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// statementNodes returns an empty node of each statement type of the grammar.
func statementNodes() map[string]*pg.Node {
	out := map[string]*pg.Node{}
	fields := (&pg.Node{}).ProtoReflect().Descriptor().Oneofs().Get(0).Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := string(field.Message().Name())
		if strings.HasSuffix(name, "Stmt") {
			n := &pg.Node{}
			m := n.ProtoReflect()
			m.Set(field, protoreflect.ValueOfMessage(m.NewField(field).Message()))
			out[name] = n
		}
	}
	return out
}

// Every statement type must have a rule or be on this list, and be opaque then.
func TestEveryStatementTypeIsHandled(t *testing.T) {
	parts := map[string]bool{ // never statements of their own
		"RawStmt": true, "SetOperationStmt": true, "ReturnStmt": true, "PLAssignStmt": true,
		"ReplicaIdentityStmt": true,
	}
	nodes := statementNodes()
	if len(nodes) < 110 {
		t.Fatalf("only %d statement types found", len(nodes))
	}
	for name, n := range nodes {
		budget := maxReferences
		a := newAnalysis(newFunctionTable(), &budget)
		a.statement(n)
		s := a.finish()
		unknown := false
		for _, reason := range s.Opaque {
			unknown = unknown || reason == "unknown statement"
		}
		if parts[name] != unknown && !emptyIsInvalid(name) {
			t.Errorf("%s: tag %q, opaque %v", name, s.Tag, s.Opaque)
		}
		if s.Tag == "" {
			t.Errorf("%s has no tag", name)
		}
	}
}

// emptyIsInvalid lists types that are opaque only because the node is empty.
func emptyIsInvalid(name string) bool {
	switch name {
	case "TransactionStmt", "VariableSetStmt", "AlterSystemStmt", "AlterDatabaseSetStmt", "AlterRoleSetStmt",
		"CopyStmt", "ExplainStmt", "PrepareStmt", "DeclareCursorStmt", "ViewStmt", "CreateTableAsStmt", "MergeStmt":
		return true
	}
	return false
}

// The samples must cover every statement type, so that each rule is seen at work.
func TestSamplesCoverEveryStatementType(t *testing.T) {
	a := newAnalyzer(t)
	seen := map[string]bool{}
	for _, s := range allSamples(t) {
		tree, err := a.parse(s.sql)
		if err != nil {
			t.Fatal(err)
		}
		m := tree.GetStmts()[0].GetStmt().ProtoReflect()
		m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			seen[string(field.Message().Name())] = true
			return true
		})
	}
	never := map[string]bool{
		"RawStmt": true, "SetOperationStmt": true, "ReturnStmt": true, "PLAssignStmt": true, "ReplicaIdentityStmt": true,
	}
	for name := range statementNodes() {
		if !seen[name] && !never[name] {
			t.Errorf("no sample of %s", name)
		}
	}
}
