package record_test

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
	"github.com/headgate/gateway/record/recordtest"
)

func TestMemorySuite(t *testing.T) {
	recordtest.Run(t, func(*testing.T) recordtest.Fixture {
		m := &record.Memory{}
		return recordtest.Fixture{Recorder: m, Read: func(s string) ([]record.Entry, error) { return m.Entries(s), nil }}
	})
}

func TestDirSuite(t *testing.T) {
	root := bytes.Repeat([]byte{7}, 32)
	for name, c := range map[string]record.DirConfig{
		"buffered":    {},
		"durable":     {Mode: record.Durable},
		"best effort": {Mode: record.BestEffort},
		"keyed":       {RootKey: secret.FromBytes(root), CheckpointRecords: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recordtest.Run(t, func(t *testing.T) recordtest.Fixture {
				t.Helper()
				return dirFixture(t, c)
			})
		})
	}
}

func newKey(tb testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	tb.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return pub, key
}

// dirFixture reads logs back only if they verify.
func dirFixture(t *testing.T, c record.DirConfig) recordtest.Fixture {
	t.Helper()
	pub, key := newKey(t)
	c.Path, c.SigningKey = filepath.Join(t.TempDir(), "logs"), key
	d, err := record.NewDir(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Dir.Close: %v", err)
		}
	})
	read := func(session string) ([]record.Entry, error) {
		path := filepath.Join(c.Path, record.FileName(session))
		keys := record.Keys{Public: []ed25519.PublicKey{pub}, Root: c.RootKey, Session: session}
		if err := record.VerifyFile(path, keys).Err(); err != nil {
			return nil, err
		}
		return readEntries(path)
	}
	return recordtest.Fixture{Recorder: d, Read: read}
}

func readEntries(path string) ([]record.Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := record.NewReader(f)
	if err != nil {
		return nil, err
	}
	var out []record.Entry
	for {
		rec, err := r.Next()
		if err != nil {
			return out, nil
		}
		if rec.Type == record.TypeCheckpoint || rec.Type == record.TypeSeal {
			continue
		}
		rec.Payload = bytes.Clone(rec.Payload)
		out = append(out, rec.Entry)
	}
}
