package record_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/headgate/gateway/record"
)

func newTestDir(t *testing.T, path string) (*record.Dir, record.Keys) {
	t.Helper()
	pub, key := newKey(t)
	d, err := record.NewDir(record.DirConfig{Path: path, SigningKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d, record.Keys{Public: []ed25519.PublicKey{pub}}
}

func writeLog(t *testing.T, d *record.Dir, session string) {
	t.Helper()
	l, err := d.Open(context.Background(), record.Header{Session: session})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(record.Entry{Type: record.TypeOutput, Payload: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close("done"); err != nil {
		t.Fatal(err)
	}
}

func TestDirModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "logs")
	d, keys := newTestDir(t, path)
	writeLog(t, d, "s")
	file := filepath.Join(path, "s.hglog")
	for name, want := range map[string]os.FileMode{path: 0o700, file: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", name, info.Mode().Perm(), want, err)
		}
	}
	rep := record.VerifyFile(file, keys)
	if rep.Err() != nil || rep.Records != 4 || rep.VerifiedThrough != 3 || rep.Reason != "done" || rep.Header.Session != "s" {
		t.Errorf("%v", rep)
	}
}

func TestSwappedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs")
	d, keys := newTestDir(t, path)
	writeLog(t, d, "a")
	writeLog(t, d, "b")
	a, b := filepath.Join(path, "a.hglog"), filepath.Join(path, "b.hglog")
	if err := errors.Join(os.Rename(a, a+"x"), os.Rename(b, a), os.Rename(a+"x", b)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{a, b} {
		rep := record.VerifyFile(file, keys)
		if rep.Problem == nil || rep.Problem.Kind != record.ProblemSession {
			t.Errorf("%s: %v, want the other session found", file, rep)
		}
	}
	if rep := record.VerifyFile(filepath.Join(path, "none"), keys); rep.Problem == nil || rep.VerifiedThrough != -1 {
		t.Errorf("missing file: %v", rep)
	}
}

// A log in the making, or of a crashed process, does not verify.
func TestOpenLogIsUnsealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs")
	d, keys := newTestDir(t, path)
	if _, err := d.Open(context.Background(), record.Header{Session: "s"}); err != nil {
		t.Fatal(err)
	}
	rep := record.VerifyFile(filepath.Join(path, "s.hglog"), keys)
	if !errors.Is(rep.Err(), record.ErrUnsealed) || rep.VerifiedThrough != 1 || rep.Header.Session != "s" {
		t.Errorf("an empty log must be attributable: %v", rep)
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	if (record.Report{}).Err() == nil {
		t.Error("the zero Report is good")
	}
	if _, err := record.RecorderFunc(nil).Open(context.Background(), record.Header{Session: "s"}); !errors.Is(err, record.ErrNoRecorder) {
		t.Errorf("nil RecorderFunc: %v", err)
	}
}

func TestMemoryFail(t *testing.T) {
	var m record.Memory
	l, err := m.Open(context.Background(), record.Header{Session: "s"})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	m.Fail(broken)
	e := record.Entry{Type: record.TypeEvent, Payload: []byte("{}")}
	if err := l.Append(e); !errors.Is(err, broken) {
		t.Errorf("Append: %v", err)
	}
	if _, err := m.Open(context.Background(), record.Header{Session: "t"}); !errors.Is(err, broken) {
		t.Errorf("Open: %v", err)
	}
	m.Fail(nil)
	if err := l.Append(e); !errors.Is(err, broken) {
		t.Errorf("a failed log works again: %v", err)
	}
	_ = l.Close("end")
	if reason, ok := m.Sealed("s"); reason != "end" || !ok || len(m.Entries("s")) != 1 || len(m.Sessions()) != 1 {
		t.Errorf("%q %v %d", reason, ok, len(m.Entries("s")))
	}
}
