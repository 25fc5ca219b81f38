//go:build unix

// Package pgserver runs real PostgreSQL servers for tests and benchmarks: on
// free loopback ports, as an unprivileged user even under root, with nothing
// left behind when the program that started them ends or is killed. It runs on
// Unix systems.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// A Workspace is a temporary directory in which servers live. Make it with
// NewWorkspace. It is safe for concurrent use.
type Workspace struct {
	dir     string
	user    *syscall.Credential // nil: servers run as this process
	janitor *janitor

	mu        sync.Mutex
	closed    bool
	next      int
	clusters  map[clusterKey]string // directories made by initdb, to be copied
	relocated map[string]string     // bin directories by where they were
	servers   []*Server
}

// NewWorkspace makes a Workspace. The caller must Close it; if the process dies
// before, a child process that outlives it cleans up.
func NewWorkspace() (*Workspace, error) {
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	w := &Workspace{user: user, clusters: map[clusterKey]string{}, relocated: map[string]string{}}
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		if err = w.settle(parent); err == nil {
			return w, nil
		}
	}
	return nil, err
}

// settle makes the workspace's directory in parent and checks that servers can
// reach it.
func (w *Workspace) settle(parent string) error {
	dir, err := os.MkdirTemp(parent, "hgpg-") // short: socket paths are limited to about 100 bytes
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	w.dir = dir
	if err := w.prepare(); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

func (w *Workspace) prepare() error {
	if err := w.give(w.dir); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	if err := w.run(context.Background(), "ls", w.dir); err != nil {
		return err
	}
	j, err := hireJanitor(w.dir)
	w.janitor = j
	return err
}

// Close stops every server and removes the directory.
func (w *Workspace) Close() error {
	w.mu.Lock()
	servers, closed := w.servers, w.closed
	w.servers, w.closed = nil, true
	w.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Stop())
	}
	return errors.Join(append(errs, w.janitor.dismiss())...)
}

// subdirectory makes a directory of the unprivileged user's with a name of its
// own. Callers hold mu.
func (w *Workspace) subdirectory() (string, error) {
	w.next++
	dir := filepath.Join(w.dir, strconv.Itoa(w.next))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	return dir, w.give(dir)
}

// command prepares a program that runs as the unprivileged user, with an
// environment that holds none of this process's settings for PostgreSQL.
func (w *Workspace) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=" + w.dir, "TZ=UTC"}
	cmd.SysProcAttr = attributes(w.user)
	return cmd
}

// run runs a program to its end. An error holds what it printed.
func (w *Workspace) run(ctx context.Context, name string, args ...string) error {
	if out, err := w.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("pgserver: %s: %w: %s", filepath.Base(name), err, out)
	}
	return nil
}

// reach returns a directory with the programs of in that the unprivileged user
// can run: the installation's own, or a copy if that lies where it can't look.
// Callers hold mu.
func (w *Workspace) reach(ctx context.Context, in Installation) (string, error) {
	if bin, ok := w.relocated[in.Bin]; ok {
		return bin, nil
	}
	bin := in.Bin
	err := w.run(ctx, filepath.Join(bin, "postgres"), "--version")
	if err != nil {
		if !in.Relocatable {
			return "", err
		}
		if bin, err = w.relocate(ctx, in.Bin); err != nil {
			return "", err
		}
	}
	w.relocated[in.Bin] = bin
	return bin, nil
}

// relocate copies the tree around bin into the workspace.
func (w *Workspace) relocate(ctx context.Context, bin string) (string, error) {
	dir, err := w.subdirectory()
	if err != nil {
		return "", err
	}
	tree := filepath.Join(dir, "tree")
	if out, err := exec.CommandContext(ctx, "cp", "-R", filepath.Dir(bin), tree).CombinedOutput(); err != nil {
		return "", fmt.Errorf("pgserver: copy of the server: %w: %s", err, out)
	}
	return filepath.Join(tree, filepath.Base(bin)), nil
}
