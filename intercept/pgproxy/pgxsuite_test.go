package pgproxy_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
)

// pgxSetup is what pgx's tests need of their database, in the words of its
// testsetup/postgresql_setup.sql.
const pgxSetup = `CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20,0)`

// pgxTests are the packages of pgx whose tests are run, and which; "" is none. With
// HEADGATE_COMPAT set (make compat) it is all of them.
var pgxTests = map[string]string{
	".":         "TestExec|TestQuery|TestTransaction|TestBatch|TestSendBatch|TestPrepare",
	"./pgconn":  "TestPipeline|TestConnExec|TestCommandTag|TestConnCheckConn",
	"./pgxpool": "",
	"./stdlib":  "",
}

// pgxDiffers are the tests of pgx whose outcome differs through the gateway, and
// why that is meant.
var pgxDiffers = map[string]string{
	". TestConnect":                                               "the database's user is the gateway's, not the one claimed",
	"./pgconn TestConnectInvalidUser":                             "a claimed user name counts for nothing",
	"./pgconn TestConnectProtocolVersion32":                       "the gateway speaks 3.2, where the server behind it does not",
	"./pgconn TestConnectWithRuntimeParams":                       "search_path is refused at startup",
	". TestConnSimpleProtocolRefusesNonUTF8ClientEncoding":        "changing client_encoding is refused",
	". TestConnSimpleProtocolRefusesNonStandardConformingStrings": "changing standard_conforming_strings is refused",
}

// TestPgxSuite runs pgx's own tests directly and through a gateway that allows
// everything: the same must fail.
func TestPgxSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("runs another module's tests")
	}
	module := pgxModule(t)
	for _, name := range slices.Sorted(maps.Keys(pgxTests)) {
		run := pgxTests[name]
		if os.Getenv("HEADGATE_COMPAT") != "" {
			run = "."
		}
		if run == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			binary := buildTests(t, module, name)
			r := newRig(t, rigConfig{driver: onReactor, recorder: forgetting(), setup: pgxSetup, proxy: pgproxy.Config{PassNotifications: true}})
			direct := testserver.Postgres(t)
			direct.Exec(pgxSetup)
			want := runTests(t, binary, filepath.Join(module, name), run, direct.URL())
			got := runTests(t, binary, filepath.Join(module, name), run, r.url())
			compareTests(t, name, got, want)
		})
	}
}

// pgxModule is where pgx's source is.
func pgxModule(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func buildTests(t *testing.T, module, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pgx.test")
	cmd := exec.Command("go", "test", "-c", "-o", binary, name)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// outcome is how a test ended, and what was printed up to that.
type outcome struct{ status, output string }

var testEnd = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) `)

// testDir is a directory of t.TempDir, which names of tests have in them.
var testDir = regexp.MustCompile(`/tmp/Test\w+/[0-9]+`)

// runTests runs a test binary and returns how each test ended.
func runTests(t *testing.T, binary, dir, run, url string) map[string]outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.timeout", "4m", "-test.run", run)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PGX_TEST_DATABASE="+url, "PGX_TEST_TCP_CONN_STRING="+url)
	out, err := cmd.CombinedOutput()
	if e := new(exec.ExitError); err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	outcomes, said := map[string]outcome{}, ""
	out = testDir.ReplaceAll(out, []byte("/tmp/dir"))
	for line := range strings.Lines(string(out)) {
		said += line
		if m := testEnd.FindStringSubmatch(line); m != nil {
			outcomes[m[2]] = outcome{m[1], said}
			said = ""
		}
	}
	if len(outcomes) == 0 {
		t.Fatalf("no test was run: %s", out)
	}
	return outcomes
}

// compareTests reports the tests whose end differs from the one that is wanted.
func compareTests(t *testing.T, module string, got, want map[string]outcome) {
	t.Helper()
	count := map[string]int{}
	for name, direct := range want {
		count[direct.status]++
		if pgxDiffers[module+" "+name] != "" { // only a whole run has them all
			if got[name].status == direct.status {
				t.Errorf("%s does not differ any more", name)
			}
			continue
		}
		if through := got[name]; through.status != direct.status {
			t.Errorf("%s: %q through the gateway, %s directly\n%s", name, through.status, direct.status, through.output)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tests ran through the gateway, %d directly", len(got), len(want))
	}
	if count["PASS"] == 0 {
		t.Error("no test passes directly")
	}
	t.Logf("directly: %v", count)
}
