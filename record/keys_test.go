package record

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMacIsHMAC(t *testing.T) {
	key, msg := sha256.Sum256([]byte("key")), sha256.Sum256([]byte("message"))
	m := hmac.New(sha256.New, key[:])
	m.Write(msg[:])
	if got := mac(&key, &msg); !bytes.Equal(got[:], m.Sum(nil)) {
		t.Errorf("mac %x, want %x", got, m.Sum(nil))
	}
}

// A verifier finds the key of every log from the root key and the log's number.
func TestRunKeys(t *testing.T) {
	root, run := bytes.Repeat([]byte{3}, 32), [16]byte{1}
	k := newRunKeys(root, run)
	seen := map[[32]byte]bool{}
	for i := range uint32(1<<16 + 50) {
		key, n, err := k.take([16]byte{2})
		if err != nil || n != i || seen[key] {
			t.Fatalf("take %d: number %d, repeated %v, %v", i, n, seen[key], err)
		}
		seen[key] = true
		if i < 10 || i > 1<<16-5 {
			if want := logKey(root, fileHead{run: run, file: [16]byte{2}, number: n}); key != want {
				t.Fatalf("number %d: keys differ", n)
			}
		}
	}
	k.next = 1<<32 - 1
	if _, _, err := k.take([16]byte{}); err != nil {
		t.Errorf("last number: %v", err)
	}
	if _, _, err := k.take([16]byte{}); !errors.Is(err, errRunEnded) {
		t.Errorf("a number was given out twice: %v", err)
	}
}

func TestChainForgetsKeys(t *testing.T) {
	first := sha256.Sum256([]byte("first"))
	head := fileHead{keyed: true}.encode()
	c := newChain(&head, &first)
	c.add([]byte("record"))
	if c.key == first || c.key != ratchet(&first) {
		t.Error("the key of a record is still there behind it")
	}
	c.erase()
	if c.key != [32]byte{} {
		t.Error("the key outlives the log")
	}
}

func TestSigningKeyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	key, err := GenerateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := LoadKey(path); err != nil || !got.Equal(key) {
		t.Errorf("LoadKey: %v", err)
	}
	if _, err := GenerateKey(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("GenerateKey over a key: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil {
		t.Error("LoadKey took a file that others can read")
	}
}

func TestPublicKeyFiles(t *testing.T) {
	dir := t.TempDir()
	pub := newSigner(t).pub
	text, err := EncodePublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pub.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadPublicKey(path); err != nil || !got.Equal(pub) {
		t.Errorf("LoadPublicKey: %v", err)
	}
	if _, err := LoadKey(path); !errors.Is(err, errKeyFile) {
		t.Errorf("LoadKey of a public key: %v", err)
	}
	for _, bad := range []string{"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPublicKey(path); !errors.Is(err, errKeyFile) {
			t.Errorf("LoadPublicKey of %q: %v", bad, err)
		}
	}
}

func TestDirConfigRefused(t *testing.T) {
	key := newSigner(t).key
	good := DirConfig{Path: t.TempDir(), SigningKey: key}
	for name, change := range map[string]func(*DirConfig){
		"zero":          func(c *DirConfig) { *c = DirConfig{} },
		"no path":       func(c *DirConfig) { c.Path = "" },
		"no key":        func(c *DirConfig) { c.SigningKey = nil },
		"short key":     func(c *DirConfig) { c.SigningKey = ed25519.PrivateKey("short") },
		"mode":          func(c *DirConfig) { c.Mode = 9 },
		"queue":         func(c *DirConfig) { c.QueueBytes = 1000 },
		"negative":      func(c *DirConfig) { c.CheckpointRecords = -1 },
		"stall < flush": func(c *DirConfig) { c.FlushInterval = 10e9 },
		"reserve":       func(c *DirConfig) { c.ReserveBytes = 1 },
		"no folder":     func(c *DirConfig) { c.Path = "/dev/null/x" },
		"open to others": func(c *DirConfig) {
			if err := os.Chmod(c.Path, 0o777); err != nil {
				t.Fatal(err)
			}
		},
	} {
		c := good
		change(&c)
		if d, err := NewDir(c); err == nil {
			t.Errorf("%s: accepted", name)
			_ = d.Close()
		}
	}
}
