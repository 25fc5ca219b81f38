package gateway_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// forbidden are what a library that is embedded in somebody's program must not
// use: "path.Name", or "path.*" for everything that a package offers. The value
// is the directory whose packages may after all.
var forbidden = map[string]string{
	"os.Exit":                       "",
	"os.Getenv":                     "credsource/env",
	"os.LookupEnv":                  "credsource/env",
	"os.Environ":                    "credsource/env",
	"os.ExpandEnv":                  "credsource/env",
	"os.Setenv":                     "",
	"os.Unsetenv":                   "",
	"os.Clearenv":                   "",
	"os.Stdin":                      "",
	"os.Stdout":                     "",
	"os.Stderr":                     "",
	"os/signal.*":                   "",
	"flag.*":                        "",
	"log.*":                         "",
	"log/slog.Default":              "",
	"log/slog.SetDefault":           "",
	"log/slog.Debug":                "",
	"log/slog.Info":                 "",
	"log/slog.Warn":                 "",
	"log/slog.Error":                "",
	"fmt.Print":                     "",
	"fmt.Printf":                    "",
	"fmt.Println":                   "",
	"net/http.DefaultServeMux":      "",
	"net/http.Handle":               "",
	"net/http.HandleFunc":           "",
	"net/http.ListenAndServe":       "",
	"net/http.ProxyFromEnvironment": "",
	"syscall.Exit":                  "",
	"syscall.Getenv":                "",
	"runtime/debug.SetGCPercent":    "",
	"runtime/debug.SetMemoryLimit":  "",
	"runtime.GOMAXPROCS":            "",
	"math/rand.Seed":                "",
}

// constructors are the calls whose result a package variable may hold: nothing
// changes it afterwards.
var constructors = []string{
	"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "sync.OnceValue", "sync.OnceValues",
	"time.Date", "net/netip.MustParseAddr", "net/netip.MustParsePrefix", "hash/crc32.MakeTable", "math/big.NewInt",
	"encoding/base64.NewEncoding", "reflect.TypeFor", "[]byte",
}

// excused are package variables that look as if they could change, by directory
// and name, with the reason why they may stand. Each must still be there.
var excused = map[string]string{
	"intercept/pgproxy/internal/pgparse.module":       "one WebAssembly instance for the process, behind its own lock",
	"intercept/pgproxy/internal/sqlfacts.byteClasses": "a table, computed once",
	"mask/internal/scan.beside":                       "a table, computed once",
	"mask/internal/scan.classOfByte":                  "a table, computed once",
	"mask/internal/scan.localBytes":                   "a table, computed once",
	"mask/internal/scan.tails":                        "a table, computed once",
	"mask/internal/scan.wide":                         "what the processor can do, asked once",
}

// A manner is one source file's part of a package, with the means to check it.
type manner struct {
	dir      string // of the package, under the module's
	fset     *token.FileSet
	imports  map[string]string // paths by the names that the file uses
	asked    map[ast.Expr]bool // functions that change something, but not as they are called
	problems []string
}

func (m *manner) reportf(at token.Pos, format string, args ...any) {
	m.problems = append(m.problems, m.fset.Position(at).String()+": "+fmt.Sprintf(format, args...))
}

// mannerProblems checks a package's files, which are all that isn't a test.
func mannerProblems(dir string, fset *token.FileSet, files []*ast.File) []string {
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: noImporter{}, Error: func(error) {}} // names are enough
	pkg, _ := config.Check(dir, fset, files, info)
	var problems []string
	for _, f := range files {
		m := &manner{dir: dir, fset: fset, imports: importNames(f), asked: map[ast.Expr]bool{}}
		for _, decl := range f.Decls {
			m.declaration(decl)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			m.selector(n)
			m.mutation(n, pkg.Scope(), info)
			return true
		})
		problems = append(problems, m.problems...)
	}
	return problems
}

type noImporter struct{}

func (noImporter) Import(string) (*types.Package, error) { return nil, errors.New("not imported") }

func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
	}
	return names
}

// qualified returns "path.Name" for a selector of an imported package, else "".
func (m *manner) qualified(e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if id, ok := sel.X.(*ast.Ident); ok && m.imports[id.Name] != "" {
		return m.imports[id.Name] + "." + sel.Sel.Name
	}
	return ""
}

func (m *manner) selector(n ast.Node) {
	e, ok := n.(ast.Expr)
	if !ok {
		return
	}
	if call, ok := e.(*ast.CallExpr); ok && m.qualified(call.Fun) == "runtime.GOMAXPROCS" && len(call.Args) == 1 {
		zero, ok := call.Args[0].(*ast.BasicLit)
		m.asked[call.Fun] = ok && zero.Value == "0"
	}
	q := m.qualified(e)
	if q == "" || m.asked[e] {
		return
	}
	for _, rule := range []string{q, q[:strings.LastIndexByte(q, '.')] + ".*"} {
		if except, found := forbidden[rule]; found && (except == "" || !within(m.dir, except)) {
			m.reportf(e.Pos(), "uses %s", q)
		}
	}
}

func (m *manner) declaration(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.Name == "init" {
			m.reportf(d.Pos(), "func init")
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR {
				m.variable(v, d.Doc)
			}
		}
	}
}

// variable refuses package variables that start empty, which is to be filled
// later, or that hold what a call made that isn't known to be constant.
func (m *manner) variable(v *ast.ValueSpec, doc *ast.CommentGroup) {
	embedded := doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
	if excused[m.dir+"."+v.Names[0].Name] != "" {
		return
	}
	if len(v.Values) == 0 && !embedded {
		m.reportf(v.Pos(), "variable %s has no value", v.Names[0].Name)
	}
	for i, value := range v.Values {
		if v.Names[min(i, len(v.Names)-1)].Name == "_" {
			continue
		}
		if call, ok := value.(*ast.CallExpr); ok && !m.constant(call) {
			m.reportf(v.Pos(), "variable %s holds what a call made", v.Names[min(i, len(v.Names)-1)].Name)
		}
	}
}

func (m *manner) constant(call *ast.CallExpr) bool {
	fun := ast.Unparen(call.Fun)
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	name := m.qualified(fun)
	if name == "" {
		name = types.ExprString(fun)
	}
	return slices.Contains(constructors, name)
}

// mutation refuses to assign to a package variable, or to a part of one.
func (m *manner) mutation(n ast.Node, scope *types.Scope, info *types.Info) {
	var targets []ast.Expr
	switch s := n.(type) {
	case *ast.AssignStmt:
		targets = s.Lhs
	case *ast.IncDecStmt:
		targets = []ast.Expr{s.X}
	case *ast.UnaryExpr:
		if s.Op == token.AND {
			targets = []ast.Expr{s.X}
		}
	case *ast.CallExpr:
		if id, ok := s.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") {
			targets = s.Args[:1]
		}
	}
	for _, target := range targets {
		if id := root(target); id != nil && info.Uses[id] != nil && info.Uses[id].Parent() == scope {
			m.reportf(id.Pos(), "changes the package variable %s", id.Name)
		}
	}
}

// root returns the variable that an expression is a part of.
func root(e ast.Expr) *ast.Ident {
	switch x := e.(type) {
	case *ast.Ident:
		return x
	case *ast.IndexExpr:
		return root(x.X)
	case *ast.SelectorExpr:
		return root(x.X)
	case *ast.StarExpr:
		return root(x.X)
	case *ast.ParenExpr:
		return root(x.X)
	default:
		return nil
	}
}

func TestLibraryHasManners(t *testing.T) {
	checked, declared := map[string]bool{}, map[string]bool{}
	for _, cgo := range []string{"CGO_ENABLED=0", "CGO_ENABLED=1"} {
		for _, p := range listPackages(t, cgo) {
			rule, _ := ruleOf(p.ImportPath)
			if !p.own() || rule.development {
				continue
			}
			checked[p.ImportPath] = true
			fset, files := parsePackage(t, p)
			for _, problem := range mannerProblems(name(p.ImportPath), fset, files) {
				t.Error(problem)
			}
			for _, variable := range variables(files) {
				declared[name(p.ImportPath)+"."+variable] = true
			}
		}
	}
	for variable := range excused {
		if !declared[variable] {
			t.Errorf("%s is excused and isn't there", variable)
		}
	}
	if !checked[module+"/policy"] || !checked[module] {
		t.Errorf("checked only %v", slices.Sorted(maps.Keys(checked)))
	}
}

func parsePackage(t *testing.T, p *goPackage) (*token.FileSet, []*ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, file := range append(slices.Clone(p.GoFiles), p.CgoFiles...) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return fset, files
}

// variables returns the names of the package variables of files.
func variables(files []*ast.File) []string {
	var names []string
	for _, f := range files {
		for _, decl := range f.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					names = append(names, v.Names[0].Name)
				}
			}
		}
	}
	return names
}

func TestLibraryHasMannersCanFail(t *testing.T) {
	for src, want := range map[string]int{
		`var ErrGone = errors.New("gone")`:                                       0,
		`var table = map[string]int{"a": 1}; func f() int { return table["a"] }`: 0,
		`var word = regexp.MustCompile("a+")`:                                    0,
		`var _ error = (*strings.Reader)(nil)`:                                   0,
		`func f() { table := map[string]int{}; table["a"] = 1 }`:                 0,
		"//go:embed a.txt\nvar page string":                                      0,
		`func f(os map[string]int) int { return os["Exit"] }`:                    0,
		`type t struct{}; func (t) init() {}`:                                    0,
		`func init() {}`:                                                         1,
		`var count int`:                                                          1,
		`var cache = make(map[string]int)`:                                       1,
		`var client = newClient()`:                                               1,
		`var table = map[string]int{}; func f() { table["a"] = 1 }`:              1,
		`var table = map[string]int{}; func f() { delete(table, "a") }`:          1,
		`var limit = 3; func f() { limit++ }`:                                    1,
		`var limit = 3; func f() *int { return &limit }`:                         1,
		`var limit = 3; func f() int { limit := 4; limit++; return limit }`:      0,
		`func f() string { return os.Getenv("A") }`:                              1,
		`func f() { os.Exit(1) }`:                                                1,
		`func f() { log.Fatal("a") }`:                                            1,
		`func f() { slog.Default() }`:                                            1,
		`func f() { signal.Notify(nil) }`:                                        1,
		`func f() any { return http.DefaultServeMux }`:                           1,
		`func f() int { return runtime.GOMAXPROCS(0) }`:                          0,
		`func f() int { return runtime.GOMAXPROCS(1) }`:                          1,
		`var set = runtime.GOMAXPROCS`:                                           1,
		`func f() any { get := os.LookupEnv; return get }`:                       1,
	} {
		const head = "package p\nimport (\"errors\"; \"regexp\"; \"strings\"; \"os\"; \"log\"; \"log/slog\"; \"os/signal\"; \"net/http\"; \"runtime\")\n"
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "p.go", head+src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if problems := mannerProblems("p", fset, []*ast.File{f}); len(problems) != want {
			t.Errorf("%s: %q, want %d", src, problems, want)
		}
		if strings.Contains(src, "Getenv") && len(mannerProblems("credsource/env", fset, []*ast.File{f})) != 0 {
			t.Errorf("%s: refused where it is allowed", src)
		}
	}
}
