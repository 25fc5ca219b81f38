package opa_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/opa"
)

// snippets returns the fenced blocks of a language in the contract.
func snippets(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/rego.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, part := range strings.Split(string(text), "```"+language+"\n")[1:] {
		block, _, ok := strings.Cut(part, "```")
		if !ok {
			t.Fatal("a block has no end")
		}
		out = append(out, block)
	}
	return out
}

func load(t *testing.T, source string) (*opa.Evaluator, error) {
	t.Helper()
	return opa.New(t.Context(), opa.Config{FS: fstest.MapFS{"gateway.rego": {Data: []byte(source)}}})
}

// TestContractSnippets: what the contract shows loads, decides its example input
// without error, or is refused where it says so.
func TestContractSnippets(t *testing.T) {
	in := contractInput(t)
	good := snippets(t, "rego")
	if len(good) != 4 {
		t.Errorf("%d snippets", len(good))
	}
	for _, source := range good {
		e, err := load(t, source)
		if err != nil {
			t.Errorf("%v\n%s", err, source)
			continue
		}
		if _, err := e.Evaluate(t.Context(), in); err != nil {
			t.Errorf("%v\n%s", err, source)
		}
	}
	bad := snippets(t, "rego-refused")
	if len(bad) != 3 {
		t.Errorf("%d refused snippets", len(bad))
	}
	for _, source := range bad {
		if _, err := load(t, source); err == nil {
			t.Errorf("loads:\n%s", source)
		}
	}
}

// contractInput returns the example input, which must fit the Go types exactly.
func contractInput(t *testing.T) *policy.Input {
	t.Helper()
	docs := snippets(t, "json")
	if len(docs) != 1 {
		t.Fatalf("%d JSON snippets", len(docs))
	}
	decoder := json.NewDecoder(strings.NewReader(docs[0]))
	decoder.DisallowUnknownFields()
	var in policy.Input
	if err := decoder.Decode(&in); err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(docs[0])); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(in)
	if err != nil || !bytes.Equal(written, compact.Bytes()) {
		t.Errorf("the example input reads back as\n%s\n%v", written, err)
	}
	return &in
}
