package opa

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// withoutEvery returns copies of the modules in which each
//
//	every k, v in domain { body }
//
// is written as [true | some k, v in domain; body], or nil if there is none. The
// compiler's type checker does not know the types of k and v in an every; it
// does in a comprehension. The copies are for type checking only.
func withoutEvery(modules map[string]*ast.Module) (map[string]*ast.Module, error) {
	found := false
	unroll := ast.NewGenericTransformer(func(x any) (any, error) {
		expr, ok := x.(*ast.Expr)
		if !ok {
			return x, nil
		}
		every, ok := expr.Terms.(*ast.Every)
		if !ok {
			return x, nil
		}
		found = true
		expr.Terms = unrolled(every)
		return expr, nil
	})
	out := make(map[string]*ast.Module, len(modules))
	for file, m := range modules {
		t, err := ast.Transform(unroll, m.Copy())
		if err != nil {
			return nil, fmt.Errorf("opa: %s: %w", file, err)
		}
		copied, ok := t.(*ast.Module)
		if !ok {
			return nil, fmt.Errorf("opa: %s: not a module", file)
		}
		out[file] = copied
	}
	if !found {
		return nil, nil
	}
	return out, nil
}

func unrolled(every *ast.Every) *ast.Term {
	in := ast.Member.Call(every.Value, every.Domain)
	if every.Key != nil {
		in = ast.MemberWithKey.Call(every.Key, every.Value, every.Domain)
	}
	some := ast.NewExpr(&ast.SomeDecl{Symbols: []*ast.Term{in}, Location: every.Location})
	some.Location = every.Location
	body := ast.NewBody(append([]*ast.Expr{some}, every.Body...)...)
	t := ast.ArrayComprehensionTerm(ast.InternedTerm(true), body)
	t.Location = every.Location
	return t
}
