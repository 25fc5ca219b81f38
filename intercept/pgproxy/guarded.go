package pgproxy

import (
	"bytes"
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

// guardedFrontend is pgconn's codec behind a greeter.
func guardedFrontend(r io.Reader, w io.Writer) *pgproto3.Frontend {
	return pgproto3.NewFrontend(&greeter{Reader: r}, w)
}

// A greeter watches over what a server says until it is ready: pgconn bounds
// single messages only, and works for seconds on a SCRAM exchange if the server
// asks for many iterations (CVE-2026-6665).
type greeter struct {
	io.Reader

	ready bool
	total int
	head  []byte
	// body is a message that is looked at, left how much of it is to come.
	body []byte
	left int
	err  error
}

// Read passes on what is within bounds.
func (g *greeter) Read(b []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.Reader.Read(b)
	if !g.ready && n > 0 {
		if g.err = g.watch(b[:n]); g.err != nil {
			return 0, g.err
		}
	}
	return n, err
}

func (g *greeter) watch(b []byte) error {
	if g.total += len(b); g.total > maxGreeting {
		return fmt.Errorf("%w: more than %d bytes", errHostile, maxGreeting)
	}
	for len(b) > 0 {
		if g.left == 0 {
			n := min(headerSize-len(g.head), len(b))
			g.head, b = append(g.head, b[:n]...), b[n:]
			if len(g.head) < headerSize {
				return nil
			}
			if err := g.begin(); err != nil || g.ready {
				return err
			}
			if g.left == 0 {
				continue
			}
		}
		n := min(g.left, len(b))
		if g.head[0] == msgAuthentication {
			g.body = append(g.body, b[:n]...)
		}
		g.left, b = g.left-n, b[n:]
		if g.left == 0 {
			if err := g.end(); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin looks at a message's header.
func (g *greeter) begin() (err error) {
	if g.left, err = bodyLength(g.head); err != nil {
		return err
	}
	switch {
	case g.head[0] == msgReadyForQuery:
		g.ready = true
	case g.head[0] == msgAuthentication && g.left > maxAuthMessage:
		return fmt.Errorf("%w: authentication message of %d bytes", errHostile, g.left)
	case g.left == 0:
		g.head = g.head[:0]
	}
	return nil
}

// end looks at a whole message.
func (g *greeter) end() error {
	body := g.body
	g.head, g.body = g.head[:0], g.body[:0]
	if len(body) < 4 || binary.BigEndian.Uint32(body) != authSASLContinue {
		return nil
	}
	return checkScram(body[4:])
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
