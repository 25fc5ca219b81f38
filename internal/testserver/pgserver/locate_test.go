//go:build unix

package pgserver

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestParseMajor(t *testing.T) {
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18.4\n":                           18,
		"postgres (PostgreSQL) 19beta1\n":                        19,
	} {
		if got, err := parseMajor(text); err != nil || got != want {
			t.Errorf("parseMajor(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	if got, err := parseMajor("mysqld 8"); err == nil {
		t.Errorf("parseMajor of another program = %d, want an error", got)
	}
}

// pretend makes a directory of programs that only know their version.
func pretend(t *testing.T, dir, version string) string {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	script := []byte("#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n")
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(bin, name), script, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestInspectAllNewestFirst(t *testing.T) {
	top := t.TempDir()
	for _, v := range []string{"9", "17", "15"} {
		pretend(t, filepath.Join(top, v), v+".1")
	}
	if err := os.MkdirAll(filepath.Join(top, "20", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	var majors []int
	for _, in := range inspectAll(filepath.Join(top, "*", "bin")) {
		majors = append(majors, in.Major)
	}
	if want := []int{17, 15, 9}; !slices.Equal(majors, want) {
		t.Errorf("found %v, want %v", majors, want)
	}
}

func TestInspectMissing(t *testing.T) {
	if in, err := Inspect(t.TempDir()); err == nil {
		t.Errorf("Inspect of an empty directory = %+v", in)
	}
	if in, err := Embedded(t.TempDir()); err == nil {
		t.Errorf("Embedded of an empty directory = %+v", in)
	}
}

// A checkout may lie where the server's user can't look, as in root's home.
func TestReachRelocates(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root runs servers as somebody else")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	in, err := Inspect(pretend(t, closed, "18.1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := NewWorkspace()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	if bin, err := w.reach(t.Context(), in); err == nil {
		t.Errorf("programs that belong where they are were moved to %s", bin)
	}
	in.Relocatable = true
	bin, err := w.reach(t.Context(), in)
	if err != nil || bin == in.Bin {
		t.Fatalf("reach = %q, %v", bin, err)
	}
	if again, err := w.reach(t.Context(), in); err != nil || again != bin {
		t.Errorf("the second reach = %q, %v; want %q", again, err, bin)
	}
}
