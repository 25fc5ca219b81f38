package pgproxy_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver"
)

// dumpRows are rows for psqlObjects that look like what separates them.
const dumpRows = `
INSERT INTO people (name, born) SELECT E'back\\slash\ttab\n' || n, NULL FROM generate_series(1, 50) n;
INSERT INTO people (name) VALUES ('\.'), ('\N'), (''), ('it''s "quoted"'), ('ünïcode ✓');
INSERT INTO parted VALUES (3, 'low'), (30, 'rest'); INSERT INTO "Odd Name"."a ""quoted"" table" VALUES (1), (NULL);
REFRESH MATERIALIZED VIEW counted;
SELECT lo_create(4711); SELECT lo_put(4711, 0, '\xdeadbeef00'); COMMENT ON LARGE OBJECT 4711 IS 'large';`

// pgTool runs one of PostgreSQL's programs and returns what it prints.
func pgTool(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testserver.Command(t, name), args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// dumped takes out of a dump what differs between two of the same database.
func dumped(out, database string) string {
	return regexp.MustCompile(`(?m)^\\(un)?restrict .*$`).ReplaceAllString(strings.ReplaceAll(out, database, "DB"), "")
}

// TestDumpsAreTheSame compares dumps through the gateway with those without it.
func TestDumpsAreTheSame(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: psqlObjects + dumpRows})
		ways := []string{"", "--inserts", "--schema-only", "--data-only", "--column-inserts --rows-per-insert=10", "--serializable-deferrable --clean --if-exists", "--table=people --no-owner --quote-all-identifiers"}
		if d != onReactor {
			ways = ways[:1]
		}
		for _, options := range ways {
			t.Run(options, func(t *testing.T) {
				args := strings.Fields(options)
				want := dumped(pgTool(t, r.pg.Env(), "pg_dump", args...), r.pg.Database)
				got := dumped(pgTool(t, r.env(), "pg_dump", args...), r.pg.Database)
				if got != want || len(want) < 1000 {
					t.Errorf("got\n%s\nwant\n%s", firstDifference(got, want), firstDifference(want, got))
				}
			})
		}
	})
}

// TestDumpsAreRestored dumps a database and restores it, both through the gateway,
// and compares what is in the two.
func TestDumpsAreRestored(t *testing.T) {
	for _, way := range []struct {
		name          string
		dump, restore []string
	}{
		{"plain", []string{"-Fp"}, nil},
		{"custom", []string{"-Fc"}, []string{"--exit-on-error"}},
		{"custom in one transaction", []string{"-Fc"}, []string{"--single-transaction"}},
		{"directory with jobs", []string{"-Fd", "-j", "3"}, []string{"-j", "3", "--exit-on-error"}},
		{"inserts", []string{"-Fc", "--inserts"}, []string{"--exit-on-error"}},
	} {
		t.Run(way.name, func(t *testing.T) {
			from := newRig(t, rigConfig{setup: psqlObjects + dumpRows})
			to := newRig(t, rigConfig{})
			file := filepath.Join(t.TempDir(), "dump")
			pgTool(t, from.env(), "pg_dump", append(slices.Clone(way.dump), "-f", file)...)
			if way.restore == nil {
				pgTool(t, to.env(), "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.DevNull, "-f", file)
			} else {
				pgTool(t, to.env(), "pg_restore", append(slices.Clone(way.restore), "-d", to.pg.Database, file)...)
			}
			want := dumped(pgTool(t, from.pg.Env(), "pg_dump"), from.pg.Database)
			got := dumped(pgTool(t, to.pg.Env(), "pg_dump"), to.pg.Database)
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", firstDifference(got, want), firstDifference(want, got))
			}
		})
	}
}

// TestDumpsAreMasked dumps a database of which a policy masks a column: as COPY the
// values are masked.
func TestDumpsAreMasked(t *testing.T) {
	const setup = `CREATE TABLE people (id int, email text); INSERT INTO people SELECT n, 'canary' || n || '@example.org' FROM generate_series(1, 3) n;
		CREATE TABLE orders (id int, item text); INSERT INTO orders VALUES (1, 'lamp');`
	r := newRig(t, rigConfig{setup: setup, policy: masking("public.people.email:redact")})
	for _, options := range []string{"", "--inserts", "-Fd -j2"} {
		t.Run(options, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "dump")
			pgTool(t, r.env(), "pg_dump", append(strings.Fields(options), "-f", file, "-Z0")...)
			out := fmt.Sprint(readAll(t, file))
			if strings.Contains(out, "canary") || !strings.Contains(out, "lamp") {
				t.Errorf("the dump is\n%s", out)
			}
		})
	}
}

// readAll returns the contents of a file, or of those in a directory.
func readAll(t *testing.T, path string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(path, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
