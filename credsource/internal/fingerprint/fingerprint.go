// Package fingerprint names versions of secrets without showing them.
package fingerprint

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/headgate/gateway/credsource"
)

// A Key makes fingerprints that only compare with others of the same Key. It is
// random and never leaves the process, so that a fingerprint in a log can't be
// used to test guesses of the secret. The zero Key must not be used.
type Key struct{ key [32]byte }

// New returns a random Key.
func New() *Key {
	k := new(Key)
	_, _ = rand.Read(k.key[:]) // documented never to fail
	return k
}

// Of returns the fingerprint of c's user, secrets, certificate chain and expiry:
// 32 hexadecimal digits.
func (k *Key) Of(c *credsource.Credential) string {
	mac := hmac.New(sha256.New, k.key[:])
	write := func(part []byte) {
		_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = mac.Write(part)
	}
	for _, part := range []string{c.Username, c.Password.Reveal(), c.Token.Reveal(), c.PrivateKey.Reveal()} {
		write([]byte(part))
	}
	if !c.Expires.IsZero() {
		write(binary.BigEndian.AppendUint64(nil, uint64(c.Expires.UnixNano())))
	}
	if c.Certificate != nil {
		for _, der := range c.Certificate.Certificate {
			write(der)
		}
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
