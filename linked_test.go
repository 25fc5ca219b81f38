package gateway_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateDeps = flag.Bool("update-deps", false, "write testdata/deps.txt anew")

// linkedModules returns a line "package module" for each module of others that a
// package of this module links. What only developers run is left out.
func linkedModules(packages []*goPackage) map[string]bool {
	moduleOf := map[string]string{}
	for _, p := range packages {
		if p.Module != nil && !p.Module.Main {
			moduleOf[p.ImportPath] = p.Module.Path
		}
	}
	lines := map[string]bool{}
	for _, p := range packages {
		rule, _ := ruleOf(p.ImportPath)
		if !p.own() || rule.development {
			continue
		}
		for _, dep := range p.Deps {
			if m := moduleOf[dep]; m != "" {
				lines[p.ImportPath+" "+m] = true
			}
		}
	}
	return lines
}

// linkedProblems compares what is linked with the committed list.
func linkedProblems(got map[string]bool, committed string) []string {
	want := map[string]bool{}
	for line := range strings.Lines(committed) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			want[line] = true
		}
	}
	var problems []string
	for _, line := range slices.Sorted(maps.Keys(got)) {
		if !want[line] {
			problems = append(problems, "linked, but not listed: "+line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(want)) {
		if !got[line] {
			problems = append(problems, "listed, but not linked: "+line)
		}
	}
	return problems
}

const linkedHeader = `# Which modules of others each package links, with or without cgo, on linux/amd64. A new line is a new dependency of
# everybody who imports that package. Written by make deps.
`

func TestLinkedModules(t *testing.T) {
	got := linkedModules(listPackages(t, "CGO_ENABLED=0"))
	maps.Copy(got, linkedModules(listPackages(t, "CGO_ENABLED=1")))
	path := filepath.Join("testdata", "deps.txt")
	if *updateDeps {
		text := linkedHeader + strings.Join(slices.Sorted(maps.Keys(got)), "\n") + "\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range linkedProblems(got, string(committed)) {
		t.Error(problem)
	}
}

func TestLinkedModulesCanFail(t *testing.T) {
	got := map[string]bool{"p a": true, "p b": true}
	if problems := linkedProblems(got, "# comment\np a\np b\n"); len(problems) != 0 {
		t.Errorf("the same lists differ: %q", problems)
	}
	if problems := linkedProblems(got, "p a\n"); len(problems) != 1 {
		t.Errorf("a new dependency: %q", problems)
	}
	if problems := linkedProblems(got, "p a\np b\np c\n"); len(problems) != 1 {
		t.Errorf("a dependency that is gone: %q", problems)
	}
}

// workspaceProblems returns the modules that go.work doesn't use.
func workspaceProblems(dirs []string, work string) []string {
	var problems []string
	for _, dir := range dirs {
		uses := func(field string) bool { return filepath.Clean(field) == dir }
		if !slices.ContainsFunc(strings.Fields(work), uses) {
			problems = append(problems, "go.work doesn't use "+dir)
		}
	}
	return problems
}

func TestWorkspaceUsesEveryModule(t *testing.T) {
	var dirs []string
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && path != "."
		if d.IsDir() && (hidden || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.Name() == "go.mod" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 1 {
		return // no nested module, no workspace
	}
	work, err := os.ReadFile("go.work")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range workspaceProblems(dirs, string(work)) {
		t.Error(problem)
	}
}

func TestWorkspaceUsesEveryModuleCanFail(t *testing.T) {
	const work = "go 1.26.0\n\nuse (\n\t.\n\t./examples\n)\n"
	if problems := workspaceProblems([]string{".", "examples"}, work); len(problems) != 0 {
		t.Errorf("%q", problems)
	}
	if problems := workspaceProblems([]string{".", "examples", "credsource/aws"}, work); len(problems) != 1 {
		t.Errorf("a module is missing: %q", problems)
	}
}
