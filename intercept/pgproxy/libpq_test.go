package pgproxy_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver"
)

// libpqTests are the tests of testdata/libpq/pipeline.c, named after those of
// PostgreSQL's own libpq_pipeline.
var libpqTests = []string{
	"disallowed_in_pipeline", "simple_pipeline", "multi_pipelines", "nosync", "pipeline_abort", "pipeline_idle",
	"prepared", "singlerow", "transaction", "uniqviol", "protocol_version", "cancel",
}

// TestPipelineModeOfLibpq runs a program on libpq's pipeline mode, which prints
// each result and each message, directly and through the gateway.
func TestPipelineModeOfLibpq(t *testing.T) {
	program := compile(t, "pipeline")
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for _, name := range libpqTests {
			t.Run(name, func(t *testing.T) {
				direct := prints(t, program, r.pg.Env(), name)
				through := prints(t, program, append(os.Environ(), r.env()...), name)
				if direct != through {
					t.Errorf("got\n%s\nwant\n%s", firstDifference(through, direct), firstDifference(direct, through))
				}
				if !strings.Contains(direct, "\n") {
					t.Errorf("nothing was printed: %q", direct)
				}
			})
		}
	})
}

// TestFastPathOfLibpq runs a program on libpq's fast path and its large objects.
func TestFastPathOfLibpq(t *testing.T) {
	program := compile(t, "fastpath")
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for _, name := range []string{"functions", "objects"} {
			file := filepath.Join(t.TempDir(), "content")
			direct := prints(t, program, r.pg.Env(), name, file)
			through := prints(t, program, append(os.Environ(), r.env()...), name, file)
			if direct != through {
				t.Errorf("%s: got\n%s\nwant\n%s", name, firstDifference(through, direct), firstDifference(direct, through))
			}
			if !strings.Contains(direct, "FunctionCallResponse") || !strings.Contains(direct, "ErrorResponse") {
				t.Errorf("%s printed\n%s", name, direct)
			}
		}
	})
}

// firstDifference returns the lines of a from the one before where it differs from b.
func firstDifference(a, b string) string {
	lines, others := strings.Split(a, "\n"), strings.Split(b, "\n")
	i := 0
	for i < min(len(lines), len(others)) && lines[i] == others[i] {
		i++
	}
	return excerpt(lines, i)
}

// compile builds a program of testdata/libpq with the system's compiler and libpq.
func compile(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	include := filepath.Join(testserver.LibpqInclude(t), "")
	cmd := exec.Command(testserver.Command(t, "cc"), "-Wall", "-Werror", "-I", include,
		"-o", program, filepath.Join("testdata", "libpq", name+".c"), "-lpq")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// prints returns all that a program prints, which must not take long.
func prints(t *testing.T, program string, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %q did not end; it printed\n%s", program, args, out)
	}
	if e := new(exec.ExitError); err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	if err != nil {
		return string(out) + "\n" + err.Error()
	}
	return string(out)
}
