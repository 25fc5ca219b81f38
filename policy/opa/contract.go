package opa

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// outputs returns the names of the rules of package gateway that decide. The
// first is the only one that is a single value; the others are partial sets.
func outputs() []string {
	return []string{"allow", "deny", "ask", "mask", "limit", "label"}
}

func gatewayRef() ast.Ref {
	return ast.Ref{ast.DefaultRootDocument, ast.StringTerm("gateway")}
}

// checkContract refuses policies whose rules in package gateway could never have
// the effect that their author meant. It looks at modules as they were parsed.
func checkContract(s *source) error {
	var errs []error
	found := false
	for _, file := range sortedKeys(s.modules) {
		m := s.modules[file]
		path := m.Package.Path
		if !path.HasPrefix(gatewayRef()) {
			continue
		}
		if len(path) > 2 {
			errs = append(errs, checkSubpackage(m))
			continue
		}
		found = true
		for _, r := range m.Rules {
			errs = append(errs, checkOutput(r))
		}
	}
	if !found {
		errs = append(errs, errors.New("opa: no module of package gateway"))
	}
	return errors.Join(append(errs, checkData(s.data))...)
}

func checkSubpackage(m *ast.Module) error {
	name, _ := m.Package.Path[2].Value.(ast.String)
	if slices.Contains(outputs(), string(name)) {
		return fmt.Errorf("opa: %v: a package can't stand in the place of the rule gateway.%s", m.Package.Location, string(name))
	}
	return nil
}

// checkOutput refuses an output rule of the wrong kind, as `deny if …` without
// an entry, which would be a value that nobody can read.
func checkOutput(r *ast.Rule) error {
	ref := r.Head.Ref()
	name := ref[0].Value.String()
	if !slices.Contains(outputs(), name) {
		return nil
	}
	switch {
	case len(r.Head.Args) > 0:
		return fmt.Errorf("opa: %v: %s is an output of the contract and can't be a function", r.Location, name)
	case len(ref) > 1:
		return fmt.Errorf("opa: %v: %s is an output of the contract and can't have rules below it", r.Location, name)
	case name == "allow" && r.Head.RuleKind() != ast.SingleValue:
		return fmt.Errorf("opa: %v: allow is true or false: write `allow if …`", r.Location)
	case name != "allow" && r.Head.RuleKind() != ast.MultiValue:
		return fmt.Errorf("opa: %v: %s is a set: write `%s contains … if …`", r.Location, name, name)
	}
	return nil
}

// checkData refuses data documents that would speak as rules.
func checkData(data map[string]any) error {
	below, ok := data["gateway"].(map[string]any)
	if !ok && data["gateway"] != nil {
		return errors.New("opa: a data document stands in the place of package gateway")
	}
	for _, name := range outputs() {
		if _, ok := below[name]; ok {
			return fmt.Errorf("opa: a data document stands in the place of the rule gateway.%s", name)
		}
	}
	return nil
}

// checkUse refuses rules of package gateway that are neither outputs nor used by
// any other rule: the usual cause is a misspelled output.
func checkUse(c *ast.Compiler) error {
	var errs []error
	for _, file := range sortedKeys(c.Modules) {
		m := c.Modules[file]
		if !m.Package.Path.Equal(gatewayRef()) {
			continue
		}
		for _, r := range m.Rules {
			name := r.Head.Ref()[0].Value.String()
			if !slices.Contains(outputs(), name) && !used(c, r) {
				errs = append(errs, fmt.Errorf("opa: %v: %s is neither an output (%v) nor used by a rule", r.Location, name, outputs()))
			}
		}
	}
	return errors.Join(errs...)
}

func used(c *ast.Compiler, r *ast.Rule) bool {
	if r.Default {
		return true // judged by the rules that it is the default of
	}
	own := r.Ref()[:len(gatewayRef())+1]
	for user := range c.Graph.Dependents(r) {
		if u, ok := user.(*ast.Rule); ok && !u.Ref().HasPrefix(own) {
			return true
		}
	}
	return false
}
