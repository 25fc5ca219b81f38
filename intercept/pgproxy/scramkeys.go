package pgproxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// scramKeys remembers, for each user of a server, the keys of the password that was
// used last. Who reads them in memory can log in as that user to servers that have
// the same salt for it, as with the password itself, which sessions hold as well. A
// password, a salt or a count of iterations that is another one puts its keys in
// their place; a refused login drops them. The zero value is ready to use. It is
// safe for concurrent use.
type scramKeys struct {
	mu sync.Mutex
	// mark keys what tells passwords apart, so that no two processes have the same.
	mark  [sha256.Size]byte
	known map[scramUser]*rememberedKey
}

type scramUser struct{ server, user string }

type rememberedKey struct {
	of  [sha256.Size]byte
	key scramKey
}

// maxScramKeys bounds what is remembered.
const maxScramKeys = 1024

// of returns the keys of a password.
func (s *scramKeys) of(server, user, password string, salt []byte, iterations int) (scramKey, error) {
	who := scramUser{server, user}
	s.mu.Lock()
	if s.known == nil {
		_, _ = rand.Read(s.mark[:]) // never fails
		s.known = make(map[scramUser]*rememberedKey)
	}
	mark := s.markOf(password, salt, iterations)
	r := s.known[who]
	s.mu.Unlock()
	if r != nil && hmac.Equal(r.of[:], mark[:]) {
		return r.key, nil
	}
	key, err := newScramKey(password, salt, iterations) // perhaps twice at a time, which does no harm
	if err != nil {
		return key, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxScramKeys && s.known[who] == nil {
		clear(s.known)
	}
	s.known[who] = &rememberedKey{of: mark, key: key}
	return key, nil
}

// markOf tells apart what the keys depend on.
func (s *scramKeys) markOf(password string, salt []byte, iterations int) [sha256.Size]byte {
	m := hmac.New(sha256.New, s.mark[:])
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(iterations))
	m.Write(n[:])
	binary.BigEndian.PutUint64(n[:], uint64(len(salt)))
	m.Write(n[:])
	m.Write(salt)
	m.Write([]byte(password))
	return [sha256.Size]byte(m.Sum(nil))
}

// forget drops the keys of a user whose login was refused.
func (s *scramKeys) forget(server, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, scramUser{server, user})
}
