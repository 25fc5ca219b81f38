package intercepttest_test

import (
	"bufio"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/gateway/intercept/intercepttest"
)

func TestLines(t *testing.T) {
	intercepttest.Run(t, func(*testing.T) intercepttest.Subject {
		lines := new(intercepttest.Lines)
		return intercepttest.Subject{
			Interceptor: lines, Username: "u", Password: "pw-canary-of-the-upstream",
			Login: login, Allowed: "read things", Denied: "drop things",
			Effective: func() bool { return slices.Contains(lines.Received(), "drop things") },
		}
	})
}

type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func login(conn net.Conn, token string) (intercepttest.Client, error) {
	c := &client{conn, bufio.NewReader(conn)}
	if _, refused, err := c.Do(token); err != nil || refused {
		return nil, errors.Join(errors.New("refused"), err)
	}
	return c, nil
}

func (c *client) Do(command string) (string, bool, error) {
	if _, err := c.conn.Write([]byte(command + "\n")); err != nil {
		return "", false, err
	}
	line, err := c.in.ReadString('\n')
	return line, strings.HasPrefix(line, "refused "), err
}
