package gateway_test

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/headgate/gateway/policy/opa"
)

// block returns the README's fenced block of a language.
func block(t *testing.T, language string) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```\n").FindAllSubmatch(readme, -1)
	if len(found) != 1 {
		t.Fatalf("%d blocks of %s in the README", len(found), language)
	}
	return string(found[0][1])
}

// TestReadmeProgram holds the README's program to the one in examples/embedded,
// which is compiled and vetted with the examples.
func TestReadmeProgram(t *testing.T) {
	program, err := os.ReadFile("examples/embedded/main.go")
	if err != nil {
		t.Fatal(err)
	}
	snippet := block(t, "go")
	if !bytes.HasSuffix(program, []byte(snippet)) {
		t.Error("the README's program is not the end of examples/embedded/main.go")
	}
	if lines := strings.Count(snippet, "\n"); lines > 26 {
		t.Errorf("the README's program has %d lines", lines)
	}
}

// TestReadmePolicy loads the README's policy as a gateway would.
func TestReadmePolicy(t *testing.T) {
	files := fstest.MapFS{"readme.rego": &fstest.MapFile{Data: []byte(block(t, "rego"))}}
	if _, err := opa.New(context.Background(), opa.Config{FS: files}); err != nil {
		t.Error(err)
	}
}
