package intercepttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// Lines is the reference Interceptor, of a protocol made for it: the client's
// first line is its token, every further line a command, and each is answered by
// one line that begins with "ok " or "refused ". A command's first word is its verb. The
// upstream is in memory.
//
// It shows what an Interceptor for a protocol of your own comes down to. A Lines
// is safe for concurrent use.
type Lines struct {
	// Answer is what the upstream says to a command; nil echoes.
	Answer func(password, line string) string

	mu       sync.Mutex
	received []string
}

// maxLine bounds a line.
const maxLine = 4096

// Protocol returns "lines".
func (l *Lines) Protocol() string { return "lines" }

// Received returns what has reached the upstream.
func (l *Lines) Received() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.received...)
}

// Intercept serves one client.
func (l *Lines) Intercept(_ context.Context, client net.Conn, g *intercept.Guard) error {
	defer func() { _ = client.Close() }() // the peer may be gone already
	stop := context.AfterFunc(g.Context(), func() { _ = client.Close() })
	defer stop()
	in := bufio.NewReaderSize(client, maxLine)
	token, err := readLine(in)
	if err != nil {
		return err
	}
	if err := g.Identify(g.Context(), identity.Proof{Token: secret.New(token)}); err != nil {
		return errors.Join(err, answer(client, "refused unauthenticated"))
	}
	var password string
	v, err := g.Connect(g.Context(), nil, func(_ context.Context, c *credsource.Credential) error {
		password = c.Password.Reveal()
		return nil
	})
	if err != nil {
		return errors.Join(err, answer(client, "refused "+intercept.CodeUpstream))
	}
	if !v.Forward {
		return answer(client, "refused "+v.Refused().Code)
	}
	if err := answer(client, "ok welcome"); err != nil {
		return err
	}
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.command(client, g, password, line); err != nil {
			return err
		}
	}
}

// command is the whole of what the pipeline asks of an Interceptor: authorize,
// forward, record, release, report.
func (l *Lines) command(client net.Conn, g *intercept.Guard, password, line string) error {
	verb, _, _ := strings.Cut(line, " ")
	waiting := func(p approve.Pending) { _ = answer(client, "waiting "+p.ID) } // the read finds a client that is gone
	v := g.AuthorizeWaiting(g.Context(), &policy.Command{Action: "line", Text: line, Facts: &policy.Facts{
		Effects: []policy.Effect{{Verb: verb, Kind: "line", Name: line}}, Opaque: []string{},
	}}, waiting)
	if !v.Forward {
		return answer(client, "refused "+v.Refused().Code)
	}
	out := "ok " + l.upstream(password, line)
	if len(v.Masks) > 0 {
		out = "ok [masked]"
	}
	if err := g.Output(0, []byte(out+"\n")); err != nil {
		return err
	}
	if err := g.Result(v, intercept.Outcome{Status: "ok", Rows: 1, Bytes: int64(len(out))}); err != nil {
		return err
	}
	return answer(client, out)
}

func (l *Lines) upstream(password, line string) string {
	l.mu.Lock()
	l.received = append(l.received, line)
	l.mu.Unlock()
	if l.Answer == nil {
		return line
	}
	return l.Answer(password, line)
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("intercepttest: line longer than %d bytes", maxLine)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

func answer(client net.Conn, line string) error {
	_, err := io.WriteString(client, line+"\n")
	return err
}

var _ intercept.Interceptor = (*Lines)(nil)
