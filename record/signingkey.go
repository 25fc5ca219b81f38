package record

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

const (
	pemPrivate  = "PRIVATE KEY"
	pemPublic   = "PUBLIC KEY"
	maxKeyFile  = 16 << 10
	othersBits  = 0o077
	keyFileMode = 0o600
)

var errKeyFile = errors.New("record: not an Ed25519 key in PEM")

// A KeyID names a public key: the first 12 bytes of its SHA-256. It stands in
// each log so that a verifier with many keys finds the right one; it proves
// nothing.
type KeyID [12]byte

// KeyIDOf returns the id of a public key.
func KeyIDOf(pub ed25519.PublicKey) KeyID {
	sum := sha256.Sum256(pub)
	return KeyID(sum[:len(KeyID{})])
}

// String returns the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// GenerateKey makes a signing key and stores it in a new file of mode 0600, as
// PKCS #8 in PEM (RFC 5958, RFC 8410). It fails if the file exists. The public
// half is what verifiers need: hand it out with EncodePublicKey, by a way that
// whoever can write the logs can't change.
func GenerateKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("record: generate key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("record: encode key: %w", err)
	}
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der})); err != nil {
		return nil, fmt.Errorf("record: store key: %w", err)
	}
	return key, nil
}

func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, keyFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// LoadKey reads a key that GenerateKey stored. It refuses a file that others
// than its owner may read or write, except on Windows, where modes say nothing.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	block, err := readPEM(path, true)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil || block.Type != pemPrivate {
		return nil, fmt.Errorf("%w: %s", errKeyFile, path) // err could quote the key
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s", errKeyFile, path)
	}
	return key, nil
}

// EncodePublicKey returns a public key as SubjectPublicKeyInfo in PEM.
func EncodePublicKey(pub ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("record: encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: der}), nil
}

// LoadPublicKey reads a public key that EncodePublicKey wrote.
func LoadPublicKey(path string) (ed25519.PublicKey, error) {
	block, err := readPEM(path, false)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil || block.Type != pemPublic {
		return nil, fmt.Errorf("%w: %s", errKeyFile, path)
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s", errKeyFile, path)
	}
	return key, nil
}

func readPEM(path string, private bool) (*pem.Block, error) {
	f, err := os.Open(path) //nolint:gosec // the host names its own key file
	if err != nil {
		return nil, fmt.Errorf("record: load key: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("record: load key: %w", err)
	}
	if private && runtime.GOOS != "windows" && info.Mode().Perm()&othersBits != 0 {
		return nil, fmt.Errorf("record: key file %s is open to others: mode %04o", path, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("record: load key: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%w: %s", errKeyFile, path)
	}
	return block, nil
}
