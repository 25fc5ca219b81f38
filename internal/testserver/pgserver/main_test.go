//go:build unix

package pgserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// hostVariable makes this test binary a program that runs a server.
const hostVariable = "HEADGATE_PGSERVER_HOST"

func TestMain(m *testing.M) {
	if os.Getenv(hostVariable) != "" {
		if err := host(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A hosted server is what a host says of the server that it runs.
type hosted struct {
	PID  int
	UID  int // of the host
	Dir  string
	Port int
}

// host runs a server until in ends and says on out where it is.
func host(in io.Reader, out io.Writer) error {
	w, err := pgserver.NewWorkspace()
	if err != nil {
		return err
	}
	cfg, err := config()
	if err != nil {
		return err
	}
	s, err := w.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(hosted{s.PID(), os.Getuid(), s.Dir, s.Port}); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return w.Close()
}

// startHost runs this test binary as a host, as user if that isn't nil.
func startHost(t *testing.T, user *syscall.Credential) (*exec.Cmd, io.Closer, hosted) {
	t.Helper()
	cmd := exec.Command(publicCopy(t))
	cmd.Dir = "/"
	cmd.Env = []string{hostVariable + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var h hosted
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the host said nothing: %v", err)
	}
	if err := json.Unmarshal(line, &h); err != nil {
		t.Fatal(err)
	}
	return cmd, in, h
}

// publicCopy returns a copy of this test binary that any user can run.
func publicCopy(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "hgpg-test-") //nolint:usetesting // TempDir's parent is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "host")
	if out, err := exec.Command("cp", self, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
