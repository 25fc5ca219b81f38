package pgproxy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver"
)

// TestRepeatedStatements runs one prepared statement again and again by stock
// drivers, which stop asking for its layout at some run: each answer is masked.
func TestRepeatedStatements(t *testing.T) {
	dir := filepath.Join("testdata", "clients", "repeated")
	python := func(t *testing.T, client string) *exec.Cmd {
		return exec.Command(testserver.PythonWith(t, strings.TrimSuffix(client, "-binary")), filepath.Join(dir, "repeated.py"), client)
	}
	clients := map[string]func(t *testing.T, r *rig) *exec.Cmd{
		"psycopg":        func(t *testing.T, _ *rig) *exec.Cmd { return python(t, "psycopg") },
		"psycopg-binary": func(t *testing.T, _ *rig) *exec.Cmd { return python(t, "psycopg-binary") },
		"psycopg2":       func(t *testing.T, _ *rig) *exec.Cmd { return python(t, "psycopg2") },
		"asyncpg":        func(t *testing.T, _ *rig) *exec.Cmd { return python(t, "asyncpg") },
		"node-postgres": func(t *testing.T, _ *rig) *exec.Cmd {
			node, env := testserver.Node(t)
			cmd := exec.Command(node, filepath.Join(dir, "repeated.cjs"))
			cmd.Env = []string{env}
			return cmd
		},
		"pgjdbc": func(t *testing.T, r *rig) *exec.Cmd {
			url := fmt.Sprintf("jdbc:postgresql://%s/%s?user=agent&password=%s&sslmode=disable", r.addr, r.pg.Database, token)
			return exec.Command(testserver.Command(t, "java"), "-cp", testserver.JDBC(t), filepath.Join(dir, "Repeated.java"), url)
		},
	}
	const setup = `CREATE TABLE items (id int PRIMARY KEY, name text, plain int); INSERT INTO items VALUES (1, 'canary', 42)`
	for name, command := range clients {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigConfig{driver: onReactor, policy: masking("public.items.name:redact"), setup: setup})
			cmd := command(t, r)
			cmd.Env = append(append(os.Environ(), cmd.Env...), r.env()...)
			timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
			out, err := cmd.CombinedOutput()
			if want := strings.Repeat("[redacted] 42\n", 8); err != nil || string(out) != want {
				t.Errorf("%v, printed\n%s", err, out)
			}
			if sessions := len(r.recorder.Sessions()); sessions == 0 {
				t.Error("the client did not come through the gateway")
			}
		})
	}
}
