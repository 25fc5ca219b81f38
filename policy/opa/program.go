package opa

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/headgate/gateway/policy"
)

// A program is a compiled policy with everything that is known about it. It is
// immutable except for its memory.
type program struct {
	revision string
	timeout  time.Duration
	network  bool // it can wait for others: its context needs the deadline too

	compiler *ast.Compiler
	queries  ast.QueryCompiler
	query    ast.Body
	outputs  []string // what the query returns, in order
	store    storage.Store
	txn      storage.Transaction

	input  *plan   // what it reads
	memory *memory // nil: decisions are not remembered
}

// build reads and compiles the policy anew.
func (e *Evaluator) build(ctx context.Context) (*program, error) {
	caps, err := capabilities(e.cfg.AllowBuiltins, e.cfg.AllowHosts)
	if err != nil {
		return nil, err
	}
	s, err := e.cfg.load(ctx, caps)
	if err != nil {
		return nil, err
	}
	if err := checkContract(s); err != nil {
		return nil, err
	}
	p := &program{revision: s.revision, timeout: e.cfg.Timeout}
	p.store = inmem.NewFromObjectWithOpts(s.data, inmem.OptReturnASTValuesOnRead(true))
	if p.txn, err = p.store.NewTransaction(ctx); err != nil {
		return nil, fmt.Errorf("opa: data documents: %w", err)
	}
	if err = p.compile(ctx, s, caps); err != nil {
		return nil, err
	}
	p.network = slices.ContainsFunc(e.cfg.AllowBuiltins, reachesNetwork)
	found := analyse(p.compiler.Modules, caps.Builtins)
	p.input = newPlan(reflect.TypeFor[policy.Input](), &found.reads)
	if found.varying == "" && e.cfg.Remember > 0 {
		p.memory = newMemory(p.input, e.cfg.Remember)
	}
	return p, nil
}

func (p *program) compile(ctx context.Context, s *source, caps *ast.Capabilities) error {
	schema, err := inputSchema()
	if err != nil {
		return err
	}
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, schema)
	fresh := func() *ast.Compiler {
		return ast.NewCompiler().WithCapabilities(caps).WithSchemas(schemas).WithDefaultRegoVersion(ast.RegoV1)
	}
	p.compiler = fresh().WithStrict(true).WithPathConflictsCheck(storage.NonEmpty(ctx, p.store, p.txn))
	unrolled, err := withoutEvery(s.modules)
	if err != nil {
		return err
	}
	if p.compiler.Compile(s.modules); p.compiler.Failed() {
		return fmt.Errorf("opa: compile policy: %w", p.compiler.Errors)
	}
	if c := fresh(); unrolled != nil {
		if c.Compile(unrolled); c.Failed() {
			return fmt.Errorf("opa: compile policy: %w", c.Errors)
		}
	}
	if err := checkUse(p.compiler); err != nil {
		return err
	}
	return p.compileQuery()
}

// compileQuery prepares one query for all outputs that the policy has. Each is
// collected in an array so that an undefined one leaves the others alone.
func (p *program) compileQuery() error {
	var parts []string
	for _, name := range outputs() {
		ref := gatewayRef().Append(ast.StringTerm(name))
		if len(p.compiler.GetRulesExact(ref)) == 0 {
			continue
		}
		p.outputs = append(p.outputs, name)
		parts = append(parts, fmt.Sprintf("[x | x = %v]", ref))
	}
	body, err := ast.ParseBodyWithOpts("result = ["+strings.Join(parts, ", ")+"]", ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return fmt.Errorf("opa: query: %w", err)
	}
	p.queries = p.compiler.QueryCompiler()
	if p.query, err = p.queries.Compile(body); err != nil {
		return fmt.Errorf("opa: query: %w", err)
	}
	return nil
}
