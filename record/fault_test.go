package record

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"
)

var errBroken = errors.New("disk broken")

// A faultFile is a file in memory with switchable faults.
type faultFile struct {
	mu       sync.Mutex
	data     []byte
	space    int64 // bytes that may be in use; negative: no limit
	reserved int64
	writeErr error
	syncErr  error
	hold     chan struct{} // writes and syncs wait until it is closed
	syncs    int
	writes   int
	isClosed bool
}

func (f *faultFile) wait() {
	f.mu.Lock()
	hold := f.hold
	f.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	f.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if f.isClosed {
		return 0, errors.New("file is closed")
	}
	if f.writeErr != nil {
		return 0, f.writeErr
	}
	n := len(p)
	var err error
	if end := off + int64(n); f.space >= 0 && end > max(f.space, f.reserved) {
		n, err = int(max(max(f.space, f.reserved)-off, 0)), syscall.ENOSPC
	}
	if grow := int(off) + n - len(f.data); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	copy(f.data[off:], p[:n])
	return n, err
}

func (f *faultFile) Reserve(_, to int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.space >= 0 && to > f.space {
		return syscall.ENOSPC
	}
	f.reserved = max(f.reserved, to)
	return nil
}

func (f *faultFile) Sync() error {
	f.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs++
	return f.syncErr
}

func (f *faultFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int64(len(f.data)) > size {
		f.data = f.data[:size]
	}
	return nil
}

func (f *faultFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isClosed = true
	return nil
}

func (f *faultFile) set(change func(*faultFile)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faultFile) content() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.data)
}

type faultFolder struct {
	mu    sync.Mutex
	files map[string]*faultFile
}

func (d *faultFolder) Create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[name] != nil {
		return nil, ErrExists
	}
	if d.files == nil {
		d.files = map[string]*faultFile{}
	}
	d.files[name] = &faultFile{space: -1}
	return d.files[name], nil
}

func (d *faultFolder) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
	return nil
}

func (d *faultFolder) Sync() error  { return nil }
func (d *faultFolder) Close() error { return nil }

func (d *faultFolder) file(session string) *faultFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[FileName(session)]
}

type faultDir struct {
	*Dir
	disk *faultFolder
	pub  ed25519.PublicKey
}

func newFaultDir(tb testing.TB, cfg DirConfig) faultDir {
	tb.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Path, cfg.SigningKey = "memory", key
	cfg, err = cfg.complete()
	if err != nil {
		tb.Fatal(err)
	}
	disk := &faultFolder{}
	return faultDir{newDir(cfg, disk), disk, pub}
}

func (d faultDir) open(tb testing.TB, session string) (*dirLog, *faultFile) {
	tb.Helper()
	l, err := d.Open(context.Background(), Header{Session: session})
	if err != nil {
		tb.Fatal(err)
	}
	return l.(*dirLog), d.disk.file(session)
}

func (d faultDir) verify(f *faultFile) Report {
	return Verify(bytes.NewReader(f.content()), Keys{Public: []ed25519.PublicKey{d.pub}})
}

func event(s string) Entry { return Entry{Type: TypeEvent, Payload: []byte(s)} }

func output(n int) Entry { return Entry{Type: TypeOutput, Payload: make([]byte, n)} }

// shutDown closes the Dir of a synctest bubble.
func (d faultDir) shutDown(tb testing.TB) {
	tb.Helper()
	if err := d.Close(); err != nil {
		tb.Errorf("Dir.Close: %v", err)
	}
}

// within fails the test if f takes longer than limit.
func within(tb testing.TB, limit time.Duration, f func()) {
	tb.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		tb.Errorf("took %v, want at most %v", took, limit)
	}
}

// counts returns how often the file was written and synced.
func (f *faultFile) counts() (writes, syncs int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes, f.syncs
}

// peek reads a log's state under its lock.
func peek[T any](l *dirLog, read func() T) T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return read()
}
