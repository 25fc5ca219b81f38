//go:build unix

// Package testserver gives tests real servers and real client programs.
//
// A server is started once per test binary and kind, on a free loopback port, as
// an unprivileged user even when the tests run as root. Each test gets a
// database of its own. When the test binary ends, however it ends, its servers
// and their files go.
//
// Programs that are not installed make a test skip with the reason, or fail if
// the environment variable HEADGATE_REQUIRE_SERVERS is 1, as it is under `make
// test`. `make test-servers` installs them all.
//
// The package is for tests only. It is the one place besides credsource/env and
// the example programs that reads the environment.
package testserver

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// requireVariable names the environment variable that turns skips into failures.
const requireVariable = "HEADGATE_REQUIRE_SERVERS"

// Main runs the tests of m, stops the servers that they started and returns the
// exit status for os.Exit. Without it servers go when the process does; with it
// they are shut down in order and a failure to do so is seen:
//
//	func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }
func Main(m *testing.M) int {
	status := m.Run()
	if err := running.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		return max(status, 1)
	}
	return status
}

// unavailable ends the test: something it needs is not installed.
func unavailable(t testing.TB, err error) {
	t.Helper()
	const advice = "%v (`make test-servers` installs it)"
	if os.Getenv(requireVariable) == "1" {
		t.Fatalf(advice, err)
	}
	t.Skipf(advice, err)
}

// running holds this test binary's servers: starting one per test would take
// longer than the tests do.
var running registry

// A registry starts each kind of server once.
type registry struct {
	mu        sync.Mutex
	workspace *pgserver.Workspace
	password  string
	shared    map[string]*postgres
}

// use returns the workspace, made at the first call. Callers hold mu.
func (r *registry) use() (*pgserver.Workspace, error) {
	if r.workspace != nil {
		return r.workspace, nil
	}
	w, err := pgserver.NewWorkspace()
	if err != nil {
		return nil, err
	}
	r.workspace, r.password, r.shared = w, randomText(), map[string]*postgres{}
	return w, nil
}

// stop ends all servers. The registry can be used again.
func (r *registry) stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.workspace == nil {
		return nil
	}
	err := r.workspace.Close()
	r.workspace, r.shared = nil, nil
	return err
}
