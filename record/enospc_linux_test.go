package record_test

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/headgate/gateway/record"
)

// A log on a file system that fills up fails with ENOSPC and is sealed. Without
// the right to mount one, the same is tested with the largest size that the
// process may give to a file, which fails writes in the same place.
func TestFullFileSystem(t *testing.T) {
	path := t.TempDir()
	want := syscall.ENOSPC
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		want = syscall.EFBIG
		limitFileSize(t, 1<<20)
	} else {
		t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	}
	d, keys := newTestDir(t, path)
	l, err := d.Open(context.Background(), record.Header{Session: "s"})
	if err != nil {
		t.Fatal(err)
	}
	accepted := uint64(0)
	for err == nil && accepted < 10000 {
		if err = l.Append(record.Entry{Type: record.TypeOutput, Payload: make([]byte, 1000)}); err == nil {
			accepted++
		}
	}
	if !errors.Is(err, want) {
		t.Fatalf("Append after %d entries: %v, want %v", accepted, err, want)
	}
	if err := l.Close("disk full"); err != nil {
		t.Fatalf("Close: %v", err)
	}
	rep := record.VerifyFile(filepath.Join(path, "s.hglog"), keys)
	// Half of the space holds 498 entries. That much is taken even where the writer
	// lags behind what is reserved.
	if rep.Err() != nil || rep.Reason != "disk full" || rep.Records < accepted+3 || accepted < 480 {
		t.Errorf("%d accepted: %v", accepted, rep)
	}
}

func limitFileSize(t *testing.T, size uint64) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) })
}
