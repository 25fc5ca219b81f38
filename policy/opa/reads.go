package opa

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// A readSet is what a policy can read at one place of the input document: all
// that is below it, or some of its members. The zero readSet reads nothing.
type readSet struct {
	all   bool
	below map[string]*readSet
}

// add notes that what path leads to is read.
func (r *readSet) add(path []string) {
	for _, name := range path {
		if r.all {
			return
		}
		if r.below == nil {
			r.below = make(map[string]*readSet)
		}
		next := r.below[name]
		if next == nil {
			next = new(readSet)
			r.below[name] = next
		}
		r = next
	}
	r.all, r.below = true, nil
}

// at returns what is read below one member, nil for nothing.
func (r *readSet) at(name string) *readSet {
	if r == nil || r.all {
		return r
	}
	return r.below[name]
}

// An analysis is what is known about a compiled policy without running it.
type analysis struct {
	reads readSet
	// varying is the name of a built-in function whose result doesn't depend on
	// the input alone, "" if the policy calls none.
	varying string
}

// analyse looks at every rule of the modules, reachable or not: a policy can't
// read what no rule mentions.
func analyse(modules map[string]*ast.Module, builtins []*ast.Builtin) *analysis {
	varying := make(map[string]bool)
	for _, b := range builtins {
		if b.Nondeterministic || readsClock(b.Name) {
			varying[b.Name] = true
		}
	}
	a := new(analysis)
	for _, m := range modules {
		a.module(m, varying)
	}
	return a
}

// readsClock reports whether a built-in consults the clock although OPA does not
// list it as varying: certificates are verified as of now.
func readsClock(builtin string) bool {
	switch builtin {
	case "crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options":
		return true
	default:
		return false
	}
}

func (a *analysis) module(m *ast.Module, varying map[string]bool) {
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Package, *ast.Import:
			return true
		case ast.Ref:
			a.ref(x, varying)
			for i, t := range x {
				if _, root := t.Value.(ast.Var); i > 0 || !root {
					visitor.Walk(t)
				}
			}
			return true
		case ast.Var:
			if x.Equal(ast.InputRootDocument.Value) {
				a.reads.add(nil)
			}
		}
		return false
	})
	visitor.Walk(m)
}

// ref notes a reference: to input up to its first variable part, or to a
// built-in function, called or handed on.
func (a *analysis) ref(r ast.Ref, varying map[string]bool) {
	if name := r.String(); varying[name] {
		a.varying = name
	}
	if !r[0].Equal(ast.InputRootDocument) {
		return
	}
	path := make([]string, 0, len(r)-1)
	for _, t := range r[1:] {
		s, ok := t.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(s))
	}
	a.reads.add(path)
}
