//go:build unix

package file_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/file"
)

// kubernetesVolume lays names out in dir as the kubelet does: each a link to
// ..data/name, and ..data a link to a directory that is swapped atomically.
func kubernetesVolume(t *testing.T, dir string, names ...string) (swap func(contents ...string)) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, name := range names {
		must(os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	generation, old := 0, ""
	return func(contents ...string) {
		generation++
		version := "..version" + strconv.Itoa(generation)
		must(os.Mkdir(filepath.Join(dir, version), 0o700))
		for i, name := range names {
			must(os.WriteFile(filepath.Join(dir, version, name), []byte(contents[i]), 0o600))
		}
		must(os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if old != "" {
			must(os.RemoveAll(filepath.Join(dir, old)))
		}
		old = version
	}
}

func TestKubernetesVolume(t *testing.T) {
	dir := t.TempDir()
	swap := kubernetesVolume(t, dir, "password")
	source := newSource(t, file.Config{Path: filepath.Join(dir, "password")})
	for _, want := range []string{"one", "two", "three"} {
		swap(want)
		if got := get(t, source).Password.Reveal(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "password"), 0o604); err != nil { // follows the links
		t.Fatal(err)
	}
	if _, err := source.Credential(t.Context(), credsource.Request{}); err == nil {
		t.Error("the mode of the file behind the links was not checked")
	}
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		mode          fs.FileMode
		alone, shared bool // accepted without and with AllowGroupRead
	}{
		{0o600, true, true},
		{0o400, true, true},
		{0o700, true, true},
		{0o640, false, true},
		{0o440, false, true},
		{0o660, false, false},
		{0o620, false, false},
		{0o644, false, false},
		{0o604, false, false},
		{0o602, false, false},
		{0o601, false, false},
		{0o444, false, false},
	} {
		path := filepath.Join(t.TempDir(), "secret")
		replace(t, path, canary)
		if err := os.Chmod(path, tc.mode); err != nil {
			t.Fatal(err)
		}
		for group, want := range map[bool]bool{false: tc.alone, true: tc.shared} {
			source := newSource(t, file.Config{Path: path, AllowGroupRead: group})
			_, err := source.Credential(t.Context(), credsource.Request{})
			if (err == nil) != want {
				t.Errorf("mode %#o, AllowGroupRead %t: %v", tc.mode, group, err)
			}
			if err != nil && (!errors.Is(err, credsource.ErrUnavailable) || strings.Contains(err.Error(), canary)) {
				t.Errorf("mode %#o: %v", tc.mode, err)
			}
		}
	}
}

func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "secret")
	replace(t, path, canary)
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	_, err := newSource(t, file.Config{Path: path}).Credential(t.Context(), credsource.Request{})
	if err == nil || !strings.Contains(err.Error(), "owned by user 12345") {
		t.Errorf("got %v", err)
	}
}

func TestNotARegularFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir, os.DevNull} {
		_, err := newSource(t, file.Config{Path: path}).Credential(t.Context(), credsource.Request{})
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// TestRotationIsNotTorn swaps a user name and a password together while they are
// being read; a user name with another's password must never come out.
func TestRotationIsNotTorn(t *testing.T) {
	dir := t.TempDir()
	swap := kubernetesVolume(t, dir, "user", "password")
	swap("0", "0")
	source := newSource(t, file.Config{Path: filepath.Join(dir, "password"), UsernamePath: filepath.Join(dir, "user")})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ctx.Err() == nil; i++ {
			n := string(rune('a' + i%26))
			swap(n, n)
		}
	}()
	read := 0
	for range 2000 {
		c, err := source.Credential(t.Context(), credsource.Request{})
		if err != nil {
			if !errors.Is(err, credsource.ErrUnavailable) && !errors.Is(err, credsource.ErrNotFound) {
				t.Error(err)
			}
			continue // being changed too often to be read
		}
		read++
		if c.Username != c.Password.Reveal() {
			t.Fatalf("user %q with the password %q", c.Username, c.Password.Reveal())
		}
	}
	cancel()
	<-stopped
	if read == 0 {
		t.Error("nothing was read")
	}
}
