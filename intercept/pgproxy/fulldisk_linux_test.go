package pgproxy_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/record"
)

// A disk that fills up ends the session before what no longer fits is released.
// It needs the right to mount a small one.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	for _, d := range []driver{onGoroutines, overTLS} { // a Dir chooses between reactor and goroutines itself
		path := t.TempDir()
		if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
			t.Skipf("no file system can be mounted: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := record.NewDir(record.DirConfig{Path: path, SigningKey: key})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, rigConfig{driver: d, recorder: dir})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT md5(i::text) || sha256(i::text::bytea)::text FROM generate_series(1, 100000) i"})
		got, _ := io.ReadAll(c.conn)
		if err := r.gateway.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		kept := keptOutput(t, path)
		if released := withoutFarewell(got); len(kept) == 0 || !bytes.HasPrefix(kept, released) {
			t.Fatalf("%d bytes were released, %d are on the disk", len(released), len(kept))
		}
	}
}

// keptOutput reads the output of the only log in a directory.
func keptOutput(t *testing.T, path string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(path, "*"+record.Extension))
	if err != nil || len(files) != 1 {
		t.Fatalf("logs: %q, %v", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader, err := record.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for {
		rec, err := reader.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, record.ErrUnsealed) {
				t.Fatal(err)
			}
			return out
		}
		if rec.Type == record.TypeOutput {
			out = append(out, rec.Payload...)
		}
	}
}
