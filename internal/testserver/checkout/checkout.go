// Package checkout finds the working tree that a test or a development program
// runs in, and the things that `make test-servers` put there.
package checkout

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Module is the path of the module at the root of the working tree.
const Module = "github.com/headgate/gateway"

// Root returns the directory of the go.mod that declares Module, searched from
// the working directory upwards. Nested modules lie inside it, so it is found
// from their tests too.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("checkout: %w", err)
	}
	return RootFrom(dir)
}

// RootFrom is Root with the search started at dir.
func RootFrom(dir string) (string, error) {
	start := dir
	for {
		found, err := declares(filepath.Join(dir, "go.mod"))
		if err != nil {
			return "", fmt.Errorf("checkout: %w", err)
		}
		if found {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("checkout: no go.mod of %s at or above %s", Module, start)
		}
		dir = parent
	}
}

// declares reports whether the go.mod file at path declares Module itself.
func declares(path string) (bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) >= 2 && string(f[0]) == "module" {
			return string(f[1]) == Module, nil
		}
	}
	return false, nil
}

// Cache returns the git-ignored directory under root in which installed servers
// and client libraries lie.
func Cache(root string) string { return filepath.Join(root, ".cache") }

// NodeModules returns the directory of the installed npm packages under root.
func NodeModules(root string) string { return filepath.Join(Cache(root), "npm", "node_modules") }
