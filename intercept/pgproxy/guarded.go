package pgproxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Bounds on what a server may say until it is ready for the first statement.
const (
	maxGreeting       = 1 << 20
	maxAuthMessage    = 8 << 10
	maxScramNonce     = 1 << 10
	maxScramIteration = 1_000_000
)

// errHostile says that a server asked for more than a greeting may.
var errHostile = errors.New("pgproxy: the server's greeting is out of bounds")

// guardedFrontend is pgconn's codec behind a greeter that logs in by SCRAM.
func guardedFrontend(r io.Reader, w io.Writer, login *scramExchange, mustBind bool) *pgproto3.Frontend {
	return pgproto3.NewFrontend(&greeter{Reader: r, server: w, login: login, mustBind: mustBind}, w)
}

// A greeter watches over what a server says until it is ready: pgconn bounds
// single messages only, and works for seconds on a SCRAM exchange if the server
// asks for many iterations (CVE-2026-6665). It also does that exchange, of which
// pgconn sees nothing but that the server has accepted.
type greeter struct {
	io.Reader

	// server is where login writes its messages to; with a nil login all is pgconn's.
	server io.Writer
	login  *scramExchange
	began  bool
	// mustBind refuses a server that accepts without login being bound to TLS.
	mustBind bool

	ready bool
	total int
	head  []byte
	// body is a message of the authentication, left how much of a message is to
	// come, pass what may be read.
	body, pass []byte
	left       int
	err        error
}

// Read passes on what is within bounds.
func (g *greeter) Read(b []byte) (int, error) {
	for {
		if len(g.pass) > 0 {
			n := copy(b, g.pass)
			g.pass = g.pass[n:]
			return n, nil
		}
		if g.err != nil {
			return 0, g.err
		}
		n, err := g.Reader.Read(b)
		if g.ready || n == 0 {
			return n, err
		}
		if g.err = g.watch(b[:n]); g.err != nil {
			g.pass = nil
			return 0, g.err
		}
		g.err = err
	}
}

// watch takes what the server has said, and puts into pass what pgconn is to see.
func (g *greeter) watch(b []byte) error {
	if g.total += len(b); g.total > maxGreeting {
		return fmt.Errorf("%w: more than %d bytes", errHostile, maxGreeting)
	}
	for len(b) > 0 && !g.ready {
		if g.left == 0 && len(g.head) < headerSize {
			n := min(headerSize-len(g.head), len(b))
			g.head, b = append(g.head, b[:n]...), b[n:]
			if len(g.head) < headerSize {
				return nil
			}
			if err := g.begin(); err != nil {
				return err
			}
		}
		n := min(g.left, len(b))
		if g.head[0] == msgAuthentication {
			g.body = append(g.body, b[:n]...)
		} else {
			g.pass = append(g.pass, b[:n]...)
		}
		g.left, b = g.left-n, b[n:]
		if g.left == 0 {
			if err := g.end(); err != nil {
				return err
			}
		}
	}
	g.pass = append(g.pass, b...)
	return nil
}

// begin looks at a message's header.
func (g *greeter) begin() (err error) {
	if g.left, err = bodyLength(g.head); err != nil {
		return err
	}
	if g.head[0] != msgAuthentication {
		g.pass = append(g.pass, g.head...)
	} else if g.left > maxAuthMessage {
		return fmt.Errorf("%w: authentication message of %d bytes", errHostile, g.left)
	}
	return nil
}

// end looks at a whole message.
func (g *greeter) end() error {
	typ, body := g.head[0], g.body
	g.head, g.body = g.head[:0], g.body[:0]
	if typ == msgReadyForQuery {
		g.ready = true
	}
	if typ != msgAuthentication {
		return nil
	}
	taken, err := g.authenticate(body)
	if err != nil || taken {
		return err
	}
	g.pass = appendMessage(g.pass, typ, func(b []byte) []byte { return append(b, body...) })
	return nil
}

// authenticate looks at a message of the authentication, and reports whether it is
// not for pgconn.
func (g *greeter) authenticate(body []byte) (taken bool, err error) {
	if len(body) < 4 {
		return false, nil
	}
	code, data := binary.BigEndian.Uint32(body), body[4:]
	if code == authSASLContinue {
		if err := checkScram(data); err != nil {
			return false, err
		}
	}
	if g.login == nil {
		return false, nil
	}
	switch code {
	case authSASL:
		return g.beginLogin(data)
	case authSASLContinue:
		answer, err := g.login.proceed(data)
		if err == nil {
			_, err = g.server.Write(answer)
		}
		return true, err
	case authSASLFinal:
		return true, g.login.finish(data)
	case authOK:
		if g.began && !g.login.verified || g.mustBind && !g.login.bound() {
			return false, errScram
		}
		return false, nil
	default: // as the password itself
		if g.began || g.mustBind {
			return false, errScram
		}
		return false, nil
	}
}

// beginLogin answers the list of mechanisms. One without SCRAM is pgconn's.
func (g *greeter) beginLogin(mechanisms []byte) (taken bool, err error) {
	over, _ := g.server.(*tls.Conn)
	answer := g.login.begin(mechanisms, over)
	if g.began || g.mustBind && !g.login.bound() {
		return false, errScram
	}
	if answer == nil {
		return false, nil
	}
	g.began = true
	_, err = g.server.Write(answer)
	return true, err
}

// checkScram bounds what a server asks of a client in its first SCRAM message:
// r=nonce,s=salt,i=iterations (RFC 5802).
func checkScram(message []byte) error {
	for field := range bytes.SplitSeq(message, []byte(",")) {
		if nonce, ok := bytes.CutPrefix(field, []byte("r=")); ok && len(nonce) > maxScramNonce {
			return fmt.Errorf("%w: nonce of %d bytes", errHostile, len(nonce))
		}
		if text, ok := bytes.CutPrefix(field, []byte("i=")); ok {
			if n, err := strconv.Atoi(string(text)); err != nil || n < 1 || n > maxScramIteration {
				return fmt.Errorf("%w: SCRAM iterations", errHostile)
			}
		}
	}
	return nil
}
