package record

import (
	"bytes"
	"crypto/ed25519"
	"sync"
	"testing"
)

// A cachedFile loses at a crash what has not been synced.
type cachedFile struct {
	faultFile

	stable []byte
}

func (f *cachedFile) Sync() error {
	err := f.faultFile.Sync()
	content := f.content()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stable = content
	return err
}

// A cachedFolder loses at a crash files whose names have not been synced.
type cachedFolder struct {
	mu     sync.Mutex
	file   *cachedFile
	stable bool
}

func (d *cachedFolder) Create(string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file, d.stable = &cachedFile{faultFile: faultFile{space: -1}}, false
	return d.file, nil
}

func (d *cachedFolder) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stable = d.file != nil
	return nil
}

func (d *cachedFolder) Remove(string) error { return nil }
func (d *cachedFolder) Close() error        { return nil }

// left is what a crash leaves of the file.
func (d *cachedFolder) left() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stable {
		return nil
	}
	d.file.mu.Lock()
	defer d.file.mu.Unlock()
	return bytes.Clone(d.file.stable)
}

// What Open, Append in Durable mode, and Close in any mode have returned from is still
// there after a crash of the machine.
func TestWhatACrashOfTheMachineLeaves(t *testing.T) {
	for _, mode := range []Mode{Buffered, Durable, BestEffort} {
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := DirConfig{Path: "x", SigningKey: key, Mode: mode}.complete()
		if err != nil {
			t.Fatal(err)
		}
		folder := new(cachedFolder)
		d := newDir(cfg, folder)
		l, err := d.Open(t.Context(), Header{Session: "s"})
		if err != nil {
			t.Fatal(err)
		}
		verify := func() Report { return Verify(bytes.NewReader(folder.left()), Keys{Public: []ed25519.PublicKey{pub}}) }
		if rep := verify(); mode == Durable && rep.VerifiedThrough < 1 {
			t.Errorf("%v: opened, and a crash leaves %v", mode, rep)
		}
		before := verify().Records
		for i := range uint64(20) {
			if err := l.Append(Entry{Type: TypeOutput, Payload: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			if rep := verify(); mode == Durable && rep.Records < before+i+1 {
				t.Errorf("%v: %d entries were taken, and a crash leaves %v", mode, i+1, rep)
			}
		}
		if err := l.Close("test"); err != nil {
			t.Fatal(err)
		}
		if rep := verify(); !rep.Sealed || rep.Err() != nil {
			t.Errorf("%v: closed, and a crash leaves %v", mode, rep)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
