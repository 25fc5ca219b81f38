package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/headgate/gateway"

// A goPackage is what go list says of a package.
type goPackage struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *struct {
		Path string
		Main bool
	}
	GoFiles  []string
	CgoFiles []string
	Imports  []string
	Deps     []string
}

// own reports whether p belongs to this module.
func (p *goPackage) own() bool { return p.Module != nil && p.Module.Main }

// name is the import path without the module's: "" for the root.
func name(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

// within reports whether path is dir or lies under it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// An edgeRule places the packages of a directory in the order of imports.
type edgeRule struct {
	dir string
	// layer orders: a package imports packages of lower layers, and of its own
	// port, but never its equals elsewhere.
	layer int
	// port is true where the package itself, not those under it, may link nothing
	// but the standard library and other packages of this module.
	port bool
	// development is true for what only developers run: nothing else may import it.
	development bool
	// suite is true for what tests import, third parties' too: nothing else may.
	suite bool
}

// edges is the order of imports: policy, then the parts, then the pipeline, then
// the protocols, then the gateway. The longest directory that fits a package
// counts.
var edges = []edgeRule{
	{dir: "", layer: 5},
	{dir: "policy", layer: 1, port: true},
	{dir: "policy/secret", layer: 0, port: true},
	{dir: "policy/opa", layer: 2},
	{dir: "policy/identity", layer: 2, port: true},
	{dir: "mask", layer: 2, port: true},
	{dir: "record", layer: 2, port: true},
	{dir: "approve", layer: 2, port: true},
	{dir: "credsource", layer: 2, port: true},
	{dir: "intercept", layer: 3, port: true},
	{dir: "intercept/pgproxy", layer: 4},
	{dir: "policy/policytest", layer: 2, port: true, suite: true},
	{dir: "policy/identity/identitytest", layer: 3, port: true, suite: true},
	{dir: "mask/masktest", layer: 3, port: true, suite: true},
	{dir: "record/recordtest", layer: 3, port: true, suite: true},
	{dir: "approve/approvetest", layer: 3, port: true, suite: true},
	{dir: "credsource/credsourcetest", layer: 3, port: true, suite: true},
	{dir: "credsource/internal/certtest", layer: 2, port: true, suite: true},
	{dir: "intercept/intercepttest", layer: 4, port: true, suite: true},
	{dir: "internal/oidctest", layer: 9, development: true},
	{dir: "internal/labelled", layer: 0, development: true},
	{dir: "internal/testserver", layer: 9, development: true},
	{dir: "internal/pgbenchmark", layer: 9, development: true},
}

// ruleOf returns the rule for a package of this module, false if there is none.
func ruleOf(path string) (edgeRule, bool) {
	best, found := edgeRule{}, false
	for _, r := range edges {
		fits := r.dir == name(path) || r.dir != "" && within(name(path), r.dir)
		if fits && (!found || len(r.dir) > len(best.dir)) {
			best, found = r, true
		}
	}
	return best, found
}

// edgeProblems returns the imports that break the rules.
func edgeProblems(packages []*goPackage) []string {
	byPath := map[string]*goPackage{}
	for _, p := range packages {
		byPath[p.ImportPath] = p
	}
	var problems []string
	for _, p := range packages {
		if !p.own() {
			continue
		}
		rule, ok := ruleOf(p.ImportPath)
		if !ok {
			problems = append(problems, p.ImportPath+" has no place in the order of imports")
			continue
		}
		if strings.HasSuffix(p.ImportPath, "test") && !rule.suite && !rule.development {
			problems = append(problems, p.ImportPath+" is for tests by its name, but not by its place")
		}
		problems = append(problems, directionProblems(p, rule)...)
		if rule.port && name(p.ImportPath) == rule.dir {
			problems = append(problems, portProblems(p, byPath)...)
		}
	}
	return problems
}

func directionProblems(p *goPackage, rule edgeRule) []string {
	var problems []string
	for _, imported := range p.Imports {
		if !within(imported, module) {
			continue
		}
		other, ok := ruleOf(imported)
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s imports %s, which has no place in the order", p.ImportPath, imported))
		case other.dir == rule.dir:
		case rule.development:
		case other.development:
			problems = append(problems, fmt.Sprintf("%s imports %s, which is for developers only", p.ImportPath, imported))
		case other.suite && !rule.suite:
			problems = append(problems, fmt.Sprintf("%s imports %s, which is for tests only", p.ImportPath, imported))
		case other.layer >= rule.layer:
			problems = append(problems, fmt.Sprintf("%s imports %s, which is not below it", p.ImportPath, imported))
		}
	}
	return problems
}

func portProblems(p *goPackage, byPath map[string]*goPackage) []string {
	var problems []string
	for _, dep := range p.Deps {
		if d := byPath[dep]; d != nil && !d.Standard && !d.own() {
			problems = append(problems, fmt.Sprintf("%s is a port and links %s", p.ImportPath, dep))
		}
	}
	return problems
}

// listPackages returns the packages of this module and all that they link. The
// workspace is off: an importer gets what go.mod says.
func listPackages(t *testing.T, env ...string) []*goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,Standard,Module,GoFiles,CgoFiles,Imports,Deps", "./...")
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "GOOS=linux", "GOARCH=amd64"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var packages []*goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		p := new(goPackage)
		if err := dec.Decode(p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

func TestImportsPointOneWay(t *testing.T) {
	for _, cgo := range []string{"CGO_ENABLED=0", "CGO_ENABLED=1"} {
		packages := listPackages(t, cgo)
		if !slices.ContainsFunc(packages, func(p *goPackage) bool { return p.ImportPath == module+"/policy" }) {
			t.Fatal("go list doesn't know package policy")
		}
		for _, problem := range edgeProblems(packages) {
			t.Errorf("%s: %s", cgo, problem)
		}
	}
}

func TestImportsPointOneWayCanFail(t *testing.T) {
	own := func(dir string, imports ...string) *goPackage {
		p := &goPackage{ImportPath: strings.TrimSuffix(module+"/"+dir, "/"), Imports: imports, Deps: imports}
		p.Module = &struct {
			Path string
			Main bool
		}{module, true}
		return p
	}
	other := &goPackage{ImportPath: "example.com/sdk"}
	for _, c := range []struct {
		name string
		p    *goPackage
		bad  bool
	}{
		{"policy imports secret", own("policy", module+"/policy/secret"), false},
		{"secret imports policy", own("policy/secret", module+"/policy"), true},
		{"policy imports a part", own("policy", module+"/mask"), true},
		{"a part imports another", own("record", module+"/mask"), true},
		{"a leaf imports its port", own("credsource/env", module+"/credsource"), false},
		{"a leaf imports another port's", own("credsource/env", module+"/policy/opa"), true},
		{"a part imports the pipeline", own("approve", module+"/intercept"), true},
		{"a protocol imports the pipeline", own("intercept/pgproxy", module+"/intercept", module+"/mask"), false},
		{"the pipeline imports a protocol", own("intercept", module+"/intercept/pgproxy"), true},
		{"a protocol imports the gateway", own("intercept/pgproxy", module), true},
		{"the gateway imports a part", own("", module+"/record"), false},
		{"the gateway imports test servers", own("", module+"/internal/testserver"), true},
		{"test servers import each other", own("internal/pgbenchmark", module+"/internal/testserver", module), false},
		{"a suite imports its port", own("approve/approvetest", module+"/approve", module+"/policy"), false},
		{"a suite imports what lies above", own("approve/approvetest", module+"/intercept"), true},
		{"a suite imports test servers", own("approve/approvetest", module+"/internal/testserver"), true},
		{"a suite links an SDK", own("record/recordtest", "example.com/sdk"), true},
		{"a port imports its suite", own("record", module+"/record/recordtest"), true},
		{"a leaf imports a suite", own("credsource/env", module+"/credsource/credsourcetest"), true},
		{"the gateway imports a suite", own("", module+"/intercept/intercepttest"), true},
		{"a suite that nobody placed", own("mask/piitest"), true},
		{"a port links an SDK", own("mask", "example.com/sdk"), true},
		{"a leaf links an SDK", own("policy/opa", "example.com/sdk"), false},
		{"a package that nobody placed", own("util"), true},
	} {
		if problems := edgeProblems([]*goPackage{c.p, other}); (len(problems) > 0) != c.bad {
			t.Errorf("%s: %q", c.name, problems)
		}
	}
}
