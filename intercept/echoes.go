package intercept

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"weak"

	"github.com/headgate/gateway/credsource"
)

// Echoes let the sessions that have the same credential share an Echo, which takes
// longer to make than to use. It keeps none that no session uses. The zero Echoes
// is ready to use, a nil one shares nothing. Echoes are safe for concurrent use.
type Echoes struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]weak.Pointer[Echo]
}

// maxEchoes bounds what is remembered of Echoes that are in use or have been.
const maxEchoes = 1024

// of returns an Echo for all secrets of the credentials.
func (x *Echoes) of(creds []*credsource.Credential) *Echo {
	if x == nil {
		return newEcho(creds)
	}
	key := keyOfCredentials(creds)
	x.mu.Lock()
	e := x.known[key].Value()
	x.mu.Unlock()
	if e != nil {
		return e
	}
	e = newEcho(creds) // perhaps twice at a time, which does no harm
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.known) >= maxEchoes {
		x.forget()
	}
	if x.known == nil {
		x.known = make(map[[sha256.Size]byte]weak.Pointer[Echo])
	}
	x.known[key] = weak.Make(e)
	return e
}

// forget drops what nobody uses any more, or all if that is not enough.
func (x *Echoes) forget() {
	for key, e := range x.known {
		if e.Value() == nil {
			delete(x.known, key)
		}
	}
	if len(x.known) >= maxEchoes {
		clear(x.known)
	}
}

// keyOfCredentials tells apart what appearances depends on.
func keyOfCredentials(creds []*credsource.Credential) [sha256.Size]byte {
	var b []byte
	for _, c := range creds {
		for _, s := range []string{c.Username, c.Password.Reveal(), c.Token.Reveal(), c.PrivateKey.Reveal()} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	key := sha256.Sum256(b)
	clear(b)
	return key
}
