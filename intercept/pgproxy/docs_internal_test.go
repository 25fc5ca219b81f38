package pgproxy

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedCodes: docs/postgresql.md lists the SQLSTATE of every code that a
// refusal has.
func TestDocumentedCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/postgresql.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| SQLSTATE | Codes |\n")
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([0-9A-Z]{5})` \\| (.+) \\|$").FindAllStringSubmatch(table, -1) {
		for code := range strings.SplitSeq(row[2], ", ") {
			documented[strings.Trim(code, "`")] = row[1]
		}
	}
	source, err := os.ReadFile("../verdict.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?m)^\tCode\w+ += "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 16 || len(documented) != len(codes) {
		t.Errorf("%d codes, %d documented", len(codes), len(documented))
	}
	for _, code := range codes {
		if got := sqlstate(code[1]); documented[code[1]] != got {
			t.Errorf("%s has %s, documented as %q", code[1], got, documented[code[1]])
		}
	}
}
