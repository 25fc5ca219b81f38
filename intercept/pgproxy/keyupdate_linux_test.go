package pgproxy_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A tlsForger writes records of TLS 1.3 (RFC 8446, section 5.2) that crypto/tls would
// not, in the place of a client that has shaken hands.
type tlsForger struct {
	t      *testing.T
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	number uint64
	out    []byte
}

// forge makes a client whose records are a forger's and whose reads are crypto/tls's.
func (r *rig) forge(t *testing.T) (*rawClient, *tlsForger) {
	t.Helper()
	plain, err := net.Dial("tcp", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	var keys bytes.Buffer
	conn := tls.Client(underneath(r.secure(t, plain)), &tls.Config{RootCAs: r.ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13, KeyLogWriter: &keys})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if conn.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("another cipher suite is preferred on this machine")
	}
	f := &tlsForger{t: t}
	for line := range bytes.Lines(keys.Bytes()) {
		if field := bytes.Fields(line); string(field[0]) == "CLIENT_TRAFFIC_SECRET_0" {
			f.secret, err = hex.DecodeString(string(field[2]))
		}
	}
	if err != nil || f.secret == nil {
		t.Fatal("no secret", err)
	}
	f.rekey()
	return &rawClient{t: t, conn: conn, Frontend: pgproto3.NewFrontend(conn, conn)}, f
}

func (f *tlsForger) expand(label string, n int) []byte {
	info := append([]byte{0, byte(n), byte(6 + len(label))}, "tls13 "+label+"\x00"...)
	b, err := hkdf.Expand(sha256.New, f.secret, string(info), n)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *tlsForger) rekey() {
	block, err := aes.NewCipher(f.expand("key", 16))
	if err != nil {
		f.t.Fatal(err)
	}
	if f.aead, err = cipher.NewGCM(block); err != nil {
		f.t.Fatal(err)
	}
	f.iv, f.number = f.expand("iv", 12), 0
}

// record seals one record.
func (f *tlsForger) record(content byte, b []byte) {
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(b)+17))
	nonce := bytes.Clone(f.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^f.number)
	f.number++
	f.out = append(f.out, head...)
	f.out = f.aead.Seal(f.out, nonce, append(bytes.Clone(b), content), head)
}

func (f *tlsForger) data(b []byte) { f.record(23, b) }

// keyUpdate asks the peer for a new key as well if answer is one.
func (f *tlsForger) keyUpdate(answer byte) {
	f.record(22, []byte{24, 0, 0, 1, answer})
	f.secret = f.expand("traffic upd", 32)
	f.rekey()
}

// A client that has TLS itself answer it, and does not read the answers, is not
// followed without end, and others are answered meanwhile.
func TestFloodOfKeyUpdates(t *testing.T) {
	for name, each := range map[string]int{"one by one": 1, "as many as TLS takes": 16} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigConfig{driver: onReactorTLS, recorder: forgetting()})
			other := r.session(t)
			c, f := r.forge(t)
			f.data(startupPacket(3<<16, "user", "agent"))
			f.data(passwordMessage(token + "\x00"))
			f.data(queryMessage("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
			f.data([]byte{'Q', 0, 0xf0, 0, 0}) // of which the bytes come one by one
			c.forged(f)
			r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientWrite'", "1")
			for range 40_000 / each {
				f.data([]byte{'x'})
				for range each {
					f.keyUpdate(1)
				}
			}
			_, _ = underneath(c.conn).Write(f.out) // the session may have ended by now
			other.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
			r.eventually(t, others, "1")
		})
	}
}

// forged sends what was forged.
func (w *rawClient) forged(f *tlsForger) {
	w.t.Helper()
	if _, err := underneath(w.conn).Write(f.out); err != nil {
		w.t.Fatal(err)
	}
	f.out = nil
}

// A client that changes its keys now and then, and reads, goes on.
func TestKeyUpdates(t *testing.T) {
	r := newRig(t, rigConfig{driver: onReactorTLS, recorder: forgetting()})
	c, f := r.forge(t)
	f.data(startupPacket(3<<16, "user", "agent"))
	f.data(passwordMessage(token + "\x00"))
	c.forged(f)
	c.until(1)
	for i := range 5000 {
		f.keyUpdate(byte(i % 2))
		if i%10 == 0 {
			f.data(queryMessage("SELECT 1"))
			c.forged(f)
			c.expect("RowDescription", "row 1", "SELECT 1", "ZI")
		}
	}
}

func queryMessage(sql string) []byte {
	b, _ := (&pgproto3.Query{String: sql}).Encode(nil) // it is short enough
	return b
}
