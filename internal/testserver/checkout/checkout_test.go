package checkout_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/headgate/gateway/internal/testserver/checkout"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRootIsThisCheckout(t *testing.T) {
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "internal", "testserver", "checkout")); err != nil {
		t.Errorf("Root() = %s, which is not this checkout: %v", root, err)
	}
}

func TestRootFromPassesNestedModules(t *testing.T) {
	top := t.TempDir()
	writeFile(t, filepath.Join(top, "go.mod"), "module "+checkout.Module+"\n\ngo 1.26.0\n")
	writeFile(t, filepath.Join(top, "examples", "go.mod"), "// nested\nmodule "+checkout.Module+"/examples\n")
	inner := filepath.Join(top, "examples", "quickstart")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := checkout.RootFrom(inner)
	if err != nil || got != top {
		t.Errorf("RootFrom = %q, %v; want %q", got, err, top)
	}
}

func TestRootFromElsewhere(t *testing.T) {
	top := t.TempDir()
	writeFile(t, filepath.Join(top, "go.mod"), "module example.com/other\n")
	if got, err := checkout.RootFrom(top); err == nil {
		t.Errorf("RootFrom outside the checkout = %q, want an error", got)
	}
}
