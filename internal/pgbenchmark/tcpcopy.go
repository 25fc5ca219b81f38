//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// serveCopy is the measuring stick: a proxy that knows nothing, two io.Copy for
// each connection, which the kernel splices. It prints its address and runs until
// in ends.
func serveCopy(in io.Reader, out io.Writer, upstream string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is what counts
		_ = l.Close()                  // ends the loop below
	}()
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go carry(client, upstream)
	}
}

// carry copies both ways until either side ends.
func carry(client net.Conn, upstream string) {
	defer client.Close() //nolint:errcheck // the connection is over
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // as above
	var both sync.WaitGroup
	direction := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // its end is what counts
		_ = to.Close()           // ends the other direction
		_ = from.Close()         // as above
	}
	both.Go(func() { direction(server, client) })
	direction(client, server)
	both.Wait()
}

// startCopy runs this program as the plain copy, in a process of its own so that
// its CPU time can be told apart.
func (b *bench) startCopy(ctx context.Context, direct *target) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, copyArgument, net.JoinHostPort(direct.host, direct.port))
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close() //nolint:errcheck // read to its end
	cmd.Stdout = w
	c, err := startChild(cmd, filepath.Join(b.dir, "copy.log"))
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the plain copy: %w: %s", err, c.logged()), c.stop())
	}
	t := *direct
	t.name, t.child = "copy", c
	if t.host, t.port, err = net.SplitHostPort(strings.TrimSpace(line)); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return &t, nil
}
