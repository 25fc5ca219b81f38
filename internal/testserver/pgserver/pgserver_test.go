//go:build unix

package pgserver_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/internal/testserver/pgserver"
)

func config() (pgserver.Config, error) {
	in, err := pgserver.System()
	return pgserver.Config{Installation: in, User: "boss", Password: "it's \\ secret"}, err
}

func mustConfig(t *testing.T) pgserver.Config {
	t.Helper()
	cfg, err := config()
	if err != nil {
		if os.Getenv("HEADGATE_REQUIRE_SERVERS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return cfg
}

func newWorkspace(t *testing.T) *pgserver.Workspace {
	t.Helper()
	w, err := pgserver.NewWorkspace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// eventually waits until ok, which depends on other processes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not so after 20 s: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func TestServerLifecycle(t *testing.T) {
	cfg := mustConfig(t)
	w, err := pgserver.NewWorkspace()
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), "postgres", "CREATE TABLE kept (n int)"); err != nil {
		t.Fatal(err)
	}
	before := s.PID()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !gone(before) {
		t.Errorf("process %d is there after Restart", before)
	}
	if err := s.Exec(t.Context(), "postgres", "SELECT n FROM kept"); err != nil {
		t.Errorf("after Restart: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !gone(s.PID()) || !missing(filepath.Dir(s.Dir)) {
		t.Errorf("after Close process %d gone: %v, directory gone: %v", s.PID(), gone(s.PID()), missing(filepath.Dir(s.Dir)))
	}
	if _, err := w.Start(t.Context(), cfg); err == nil {
		t.Error("a closed workspace starts servers")
	}
}

func TestServersAreSeparate(t *testing.T) {
	cfg := mustConfig(t)
	w := newWorkspace(t)
	one, err := w.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Settings = []string{"application_name=it's \\ quoted", "work_mem=7MB"}
	two, err := w.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if one.Port == two.Port || one.Dir == two.Dir {
		t.Errorf("two servers share port %d or directory %s", one.Port, one.Dir)
	}
	const check = `DO $$ BEGIN ASSERT current_setting('work_mem') = '7MB'; END $$`
	if err := one.Exec(t.Context(), "postgres", check); err == nil {
		t.Error("the second server's settings are the first's too")
	}
	if err := two.Exec(t.Context(), "postgres", check); err != nil {
		t.Error(err)
	}
}

func TestPasswordIsEnforced(t *testing.T) {
	s, err := newWorkspace(t).Start(t.Context(), mustConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{pgserver.Host, s.Dir} {
		dsn := fmt.Sprintf("host=%s port=%d user=boss password=wrong dbname=postgres sslmode=disable", host, s.Port)
		_, err := pgconn.Connect(t.Context(), dsn)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "28P01" {
			t.Errorf("a wrong password by %s: %v, want SQLSTATE 28P01", host, err)
		}
	}
}

func TestServerIsUnprivileged(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	s, err := newWorkspace(t).Start(t.Context(), mustConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if name, ids, _ := strings.Cut(line, ":"); name == "Uid" || name == "Gid" || name == "Groups" {
			for id := range strings.FieldsSeq(ids) {
				if id == "0" && os.Getuid() == 0 {
					t.Errorf("the server runs with %s", line)
				}
			}
		}
	}
}

func TestKilledHostLeavesNothing(t *testing.T) {
	mustConfig(t)
	cmd, _, h := startHost(t, nil)
	if gone(h.PID) || missing(h.Dir) {
		t.Fatalf("the host has no server: %+v", h)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the host ended well although it was killed")
	}
	eventually(t, "the server is gone", func() bool { return gone(h.PID) })
	eventually(t, "its files are gone", func() bool { return missing(filepath.Dir(h.Dir)) })
}

func TestOrdinaryUserCanHost(t *testing.T) {
	mustConfig(t)
	if os.Getuid() != 0 {
		t.Skip("not root: every other test shows it")
	}
	cmd, in, h := startHost(t, &syscall.Credential{Uid: 65534, Gid: 65534})
	if h.UID != 65534 {
		t.Errorf("the host runs as %d", h.UID)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !gone(h.PID) || !missing(filepath.Dir(h.Dir)) {
		t.Errorf("process %d gone: %v, directory gone: %v", h.PID, gone(h.PID), missing(filepath.Dir(h.Dir)))
	}
}

func TestStartExplainsFailure(t *testing.T) {
	cfg := mustConfig(t)
	w := newWorkspace(t)
	cfg.Settings = []string{"shared_buffers=a lot"}
	if _, err := w.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("error %v doesn't hold what the server logged", err)
	}
	cfg.Settings = []string{"work_mem"}
	if _, err := w.Start(t.Context(), cfg); err == nil {
		t.Error("a setting without a value is accepted")
	}
	if _, err := w.Start(t.Context(), pgserver.Config{}); err == nil {
		t.Error("the zero Config starts a server")
	}
}

func TestStartHonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newWorkspace(t).Start(ctx, mustConfig(t)); err == nil {
		t.Error("Start succeeds with a cancelled context")
	}
}
