//go:build unix

package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver/checkout"
	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// clientTimeout bounds a run of RunClient.
const clientTimeout = 3 * time.Minute

// Command returns the path of an installed program. PostgreSQL's client programs,
// as psql and pgbench, are looked for beside the server first.
func Command(t testing.TB, name string) string {
	t.Helper()
	if in, err := pgserver.System(); err == nil {
		if path, err := exec.LookPath(filepath.Join(in.Bin, name)); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		unavailable(t, err)
	}
	return path
}

// LibpqInclude returns the directory of libpq's header files.
func LibpqInclude(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("pg_config", "--includedir").Output()
	dir := strings.TrimSpace(string(out))
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "libpq-fe.h"))
	}
	if err != nil {
		unavailable(t, fmt.Errorf("no libpq to compile with: %w", err))
	}
	return dir
}

// JDBC returns the path of PostgreSQL's JDBC driver, which is a package of Debian
// and not of Homebrew.
func JDBC(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("no JDBC driver is installed here")
	}
	const installed = "/usr/share/java/postgresql.jar" // Debian's
	if _, err := os.Stat(installed); err != nil {
		unavailable(t, err)
	}
	return installed
}

// Python returns a python3 that has psycopg 3.
func Python(t testing.TB) string {
	t.Helper()
	return PythonWith(t, "psycopg")
}

// PythonWith returns a python3 that has a package, as "psycopg2".
func PythonWith(t testing.TB, name string) string {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	path, err := python(name, filepath.Join(checkout.Cache(root), "venv", "bin", "python3"), "python3", "/usr/bin/python3")
	if err != nil {
		unavailable(t, err)
	}
	return path
}

// python returns the first of the candidates that can import a package.
func python(imports string, candidates ...string) (string, error) {
	errs := []error{errors.New("no python3 with " + imports)}
	for _, name := range candidates {
		path, err := exec.LookPath(name)
		if err == nil {
			err = exec.Command(path, "-c", "import "+imports).Run()
		}
		if err == nil {
			return path, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return "", errors.Join(errs...)
}

// Node returns the path of node, and the environment variable by which its
// programs find the npm packages of `make test-servers`.
func Node(t testing.TB) (path, env string) {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	modules := checkout.NodeModules(root)
	if _, err := os.Stat(filepath.Join(modules, "pg", "package.json")); err != nil {
		unavailable(t, fmt.Errorf("no node-postgres: %w", err))
	}
	return Command(t, "node"), "NODE_PATH=" + modules
}

// RunClient runs one of the client programs in intercept/pgproxy/testdata/clients
// and returns the JSON report that it printed. name is "node" (node-postgres) or
// "python" (psycopg). env are the variables that tell it where to connect: PGHOST,
// PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE and PGSSLROOTCERT. A program
// that fails ends the test.
func RunClient(t testing.TB, name string, env []string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	cmd := clientCommand(ctx, t, name)
	cmd.Env = append(append(cmd.Env, environWithoutPostgres()...), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("testserver: client %s: %v\n%s", name, err, stderr.Bytes())
	}
	return stdout.Bytes()
}

func clientCommand(ctx context.Context, t testing.TB, name string) *exec.Cmd {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "intercept", "pgproxy", "testdata", "clients", name)
	switch name {
	case "node":
		node, env := Node(t)
		cmd := exec.CommandContext(ctx, node, filepath.Join(dir, "report.cjs"))
		cmd.Env = []string{env}
		return cmd
	case "python":
		return exec.CommandContext(ctx, Python(t), filepath.Join(dir, "report.py"))
	default:
		t.Fatalf("testserver: no client program %q", name)
		return nil
	}
}

// environWithoutPostgres returns this process's environment without the
// variables that libpq and its like read.
func environWithoutPostgres() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") {
			env = append(env, v)
		}
	}
	return env
}

// RunLibpq18 connects by PostgreSQL 18's libpq with a connection string, runs a
// query and returns the JSON report of testdata/clients/libpq18. token is what it
// answers with when it is asked for a bearer token, "" for none.
func RunLibpq18(t testing.TB, conninfo, query, token string) []byte {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	in, err := pgserver.Embedded(checkout.NodeModules(root))
	if err != nil {
		unavailable(t, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	script := filepath.Join(root, "intercept", "pgproxy", "testdata", "clients", "libpq18", "connect.py")
	library := filepath.Join(filepath.Dir(in.Bin), "lib", "libpq.so.5")
	cmd := exec.CommandContext(ctx, Command(t, "python3"), script, library, conninfo, query, token)
	cmd.Env = environWithoutPostgres()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("testserver: libpq: %v\n%s", err, stderr.Bytes())
	}
	return stdout.Bytes()
}
