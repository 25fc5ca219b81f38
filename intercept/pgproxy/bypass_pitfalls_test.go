package pgproxy_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// A pitfall is something that others fell into, and the tests that would fail if this
// package did: their names, and behind a slash that of one attempt.
type pitfall struct {
	name  string
	tests []string
}

func pitfalls() []pitfall {
	return []pitfall{
		{"p01 requests for encryption, and bytes behind them", []string{"TestEncryptionRequests", "TestBytesBehindSSLRequest", "TestALPNBehindSSLRequest", "TestUpstreamTLSWithChannelBinding"}},
		{"p02 direct TLS", []string{"TestDirectTLS", "TestDirectTLSByDrivers", "TestUpstreamDirectTLS", "TestUpstreamALPN"}},
		{"p03 versions and options of the protocol", []string{"TestProtocolVersions", "TestBrokenStartup"}},
		{"p04 keys of cancel requests", []string{"TestCancelWithOurKey", "TestKeysAreNotTheServers", "TestLateCancel", "TestCancelWhileJudged"}},
		{"p05 parameters at startup", []string{"TestStartupParameters", "TestRefusedStartupIsRecorded", "TestParametersAreBounded", "TestTheCredentialInStartupParameters"}},
		{"p06 a server that logs in with tricks", []string{"TestUpstreamTLSWithChannelBinding", "TestHostileServerAtStartup", "TestUpstreamCertificateIsVerified"}},
		{"p07 refusals in a pipeline", []string{"TestRefusalInPipelineRollsBack", "TestRefusalAtEachPosition", "TestRefusalAmongSyncs", "TestRefusalKeepsTransactionState", "TestRefusedQueryBehindPipeline"}},
		{"p08 errors up to Sync, portals, statements used again", []string{"TestErrorBeforeRefusalIsTheServers", "TestStatementReusedBehindReady", "TestPortalsAcrossBatches", "TestErrorOfHiddenDescribe", "TestPgxQueryModes", "TestRepeatedStatements", "TestDifferential"}},
		{"p09 statements that run others, and functions with effects", []string{"TestBypassReadOnly/last of many", "TestBypassReadOnly/in with", "TestBypassReadOnly/explain", "TestBypassReadOnly/prepared", "TestBypassReadOnly/tables from queries",
			"TestBypassReadOnly/definitions", "TestBypassReadOnly/rights", "TestBypassReadOnly/code", "TestBypassReadOnly/functions with effects", "TestBypassReadOnly/locks", "TestBypassByRelation/functions that run SQL", "TestBypassByRelation/dblink"}},
		{"p10 settings that change how SQL is read", []string{"TestBypassBySettings", "TestBypassBySession/settings that change reading", "TestBypassBySession/settings by others", "TestBypassByNaming/comments", "TestBypassByNaming/dollar quotes", "TestBypassByNaming/escape strings"}},
		{"p11 what is too long, unknown or malformed", []string{"TestTooLongStatements", "TestLongButAllowed", "TestNestedTooDeep", "TestMalformedMessages", "TestUncarriedMessages"}},
		{"p12 names of relations", []string{"TestBypassByNaming/only", "TestBypassByNaming/unicode name", "TestBypassByNaming/joined alias with columns", "TestBypassByRelation/view", "TestBypassByQuery/with that names a table", "TestBypassByShadowing/temporary table that hides a masked one", "TestBypassByShadowing/schema of the user behind the gateway"}},
		{"p13 what masks leak by", []string{"TestBypassByNaming/alias", "TestBypassByNaming/table alias with columns", "TestBypassByQuery/union", "TestBypassByQuery/lateral", "TestBypassByExpression/row as json", "TestBypassByExpression/whole row", "TestBypassByExpression/aggregates",
			"TestBypassByExpression/text functions", "TestBypassByExpression/a character for each row", "TestBypassByCopy/table", "TestBypassBySession/cursor", "TestBypassByStoring/returning", "TestBypassByMessages/conversion error", "TestBypassByMessages/constraint details",
			"TestBypassByMessages/raised by functions", "TestBypassByMessages/notification", "TestBypassByMessages/settings", "TestBypassByFastPath", "TestBypassByRelation/statistics", "TestBypassByObjectsAndChannels/large object in parts", "TestOraclesAreSeenByThePolicy"}},
		{"p14 masks that break drivers", []string{"TestEveryTypeIsMasked", "TestTypesOfUsersAreMasked", "TestMasksHoldInEveryStyle", "TestComputedValuesHaveNoStructure", "TestClients"}},
		{"p15 long cells and long results", []string{"TestGiantCells", "TestGiantCellBesideAMaskedOne", "TestManyRows", "TestTenTimesManyRows", "TestLargeResultInConstantMemory", "TestHeldForSlowReaders"}},
		{"p16 what passes because masking failed", []string{"TestUnknownDetectorRefuses", "TestBypassByPortals", "TestBypassByPreparedStatements", "TestRenameBehindTheGateway", "TestCatalogueRefusesMalformedAnswers", "TestUntracedIsRefusedByChoice", "TestStatementsThatExecuteThemselves"}},
		{"p17 either side dies or falls silent", []string{"TestHalfOpen", "TestClientLeavesMidResult", "TestServerDiesMidResult", "TestCopyInClientLeaves", "TestLeavingAtAnyTime"}},
	}
}

// Every pitfall has tests, and beside them there are at least 150 attempts, each with
// a benign twin: refusing everything would not pass.
func TestPitfallsAndAttemptsAreCounted(t *testing.T) {
	tests, attempts := sourcesOfAttempts(t)
	statements := 0
	var names []string
	for _, a := range attempts {
		names = append(names, a.name)
		statements += a.statements
		if !a.hasTwin {
			t.Errorf("%s: %q has no benign twin", a.kind, a.name)
		}
	}
	if len(attempts) < 250 || statements < 1000 {
		t.Errorf("only %d attempts of %d statements", len(attempts), statements)
	}
	t.Logf("%d attempts of %d statements", len(attempts), statements)
	if n := len(pitfalls()); n != 17 {
		t.Errorf("%d pitfalls", n)
	}
	for _, p := range pitfalls() {
		for _, test := range p.tests {
			function, name, ofAttempt := strings.Cut(test, "/")
			if !slices.Contains(tests, function) || ofAttempt && !slices.Contains(names, name) {
				t.Errorf("%s: there is no %s", p.name, test)
			}
		}
	}
}

// A source is what the text of an attempt tells.
type source struct {
	kind, name string
	statements int
	hasTwin    bool
}

// sourcesOfAttempts reads the names of this package's tests, and the attempts in
// tables of structs that have a twin.
func sourcesOfAttempts(t *testing.T) (tests []string, attempts []source) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string][]string{}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				tests = append(tests, n.Name.Name)
			case *ast.TypeSpec:
				fields[n.Name.Name] = fieldsOf(n)
			}
			return true
		})
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if table, ok := n.(*ast.CompositeLit); ok {
				attempts = append(attempts, attemptsOf(table, fields)...)
			}
			return true
		})
	}
	return tests, attempts
}

func fieldsOf(n *ast.TypeSpec) (names []string) {
	if s, ok := n.Type.(*ast.StructType); ok {
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// attemptsOf returns the elements of a table of attempts, none of another literal.
func attemptsOf(table *ast.CompositeLit, fields map[string][]string) (out []source) {
	of, ok := table.Type.(*ast.ArrayType)
	if !ok {
		return nil
	}
	kind, _ := of.Elt.(*ast.Ident)
	if kind == nil || !slices.Contains(fields[kind.Name], "twin") {
		return nil
	}
	for _, element := range table.Elts {
		a := source{kind: kind.Name}
		for i, value := range element.(*ast.CompositeLit).Elts {
			switch fields[kind.Name][i] {
			case "name":
				a.name = strings.Trim(value.(*ast.BasicLit).Value, "\"`")
			case "twin":
				text, isText := value.(*ast.BasicLit)
				a.hasTwin = !isText || len(text.Value) > 2
			default:
				if list, ok := value.(*ast.CompositeLit); ok {
					a.statements += len(list.Elts)
				}
			}
		}
		out = append(out, a)
	}
	return out
}
