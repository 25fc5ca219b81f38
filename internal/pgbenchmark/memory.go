//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"
)

// A figure is something measured that is no multiple of the plain copy's.
type figure struct {
	name, unit      string
	value           float64
	target, stretch float64 // zero for none
	atLeast         bool    // more is better
}

// memoryFigures measures what gateways keep in memory: a new process for plain
// connections, and one for those with TLS on both legs.
func (b *bench) memoryFigures(ctx context.Context) ([]figure, error) {
	plain, err := b.startGateway(ctx)
	if err != nil {
		return nil, err
	}
	rest, idle, err := b.idleMemory(ctx, plain, routePlain)
	if err != nil {
		return nil, err
	}
	peak, err := b.streamMemory(ctx, plain)
	if err != nil {
		return nil, err
	}
	program, err := plain.child.status("RssFile")
	if err != nil {
		return nil, err
	}
	if err := plain.child.stop(); err != nil {
		return nil, err
	}
	encrypted, err := b.startGateway(ctx)
	if err != nil {
		return nil, err
	}
	_, idleTLS, err := b.idleMemory(ctx, encrypted, routeTLS)
	if err != nil {
		return nil, err
	}
	return []figure{
		{name: "gateway at rest", unit: "MiB", value: rest},
		{name: "idle connection", unit: "KiB", value: idle, target: 16, stretch: 4},
		{name: "idle TLS connection", unit: "KiB", value: idleTLS, target: 60, stretch: 30},
		{name: fmt.Sprintf("peak while %d MB stream", b.streamMB), unit: "MiB", value: peak, target: 24, stretch: 12},
		{name: "of which pages of its program", unit: "MiB", value: program / 1024},
	}, encrypted.child.stop()
}

// idleMemory returns what the gateway takes at rest in MiB, and in KiB what each
// connection adds that has run a statement and waits. The gateway has carried as
// many connections before, so that only what is kept for each is counted.
func (b *bench) idleMemory(ctx context.Context, g *gatewayProcess, route string) (rest, each float64, err error) {
	held, err := b.hold(ctx, g.routes[route], 10)
	if err = errors.Join(err, closeAll(held)); err != nil {
		return 0, 0, err
	}
	before, err := g.child.settled(ctx)
	if err != nil {
		return 0, 0, err
	}
	held, err = b.hold(ctx, g.routes[route], b.idle)
	if err != nil {
		return 0, 0, errors.Join(err, closeAll(held))
	}
	after, err := g.child.settled(ctx)
	return before / 1024, (after - before) / float64(b.idle), errors.Join(err, closeAll(held))
}

// hold opens n connections, each of which runs a statement.
func (b *bench) hold(ctx context.Context, t *target, n int) ([]net.Conn, error) {
	var held []net.Conn
	for range n {
		conn, err := t.open(ctx)
		if err != nil {
			return held, err
		}
		held = append(held, conn)
		if _, err := ask(conn, "SELECT aid FROM pgbench_accounts WHERE aid = 1"); err != nil {
			return held, err
		}
	}
	return held, nil
}

func closeAll(conns []net.Conn) error {
	errs := make([]error, 0, len(conns))
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// streamMemory returns the most memory, in MiB, that the gateway took while rows
// stream through one connection.
func (b *bench) streamMemory(ctx context.Context, g *gatewayProcess) (float64, error) {
	conn, err := g.routes[routePlain].open(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // it has been used
	if err := g.child.resetPeak(); err != nil {
		return 0, err
	}
	const about = 110 // bytes of a row
	times := max(1, b.streamMB*1_000_000/(about*b.scale*peoplePerScale))
	if _, err := ask(conn, fmt.Sprintf("SELECT p.id, p.name, p.note FROM generate_series(1, %d) g, people p", times)); err != nil {
		return 0, err
	}
	peak, err := g.child.status("VmHWM")
	return peak / 1024, err
}

// settled returns the memory that the child takes, in KiB, once it no longer
// changes much: its garbage collector may be at work.
func (c *child) settled(ctx context.Context) (float64, error) {
	last, same := -1.0, 0
	for range 50 {
		now, err := c.status("VmRSS")
		if err != nil {
			return 0, err
		}
		if same++; now != last {
			last, same = now, 0
		}
		if same >= 4 {
			break
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return last, nil
}

// status reads a field in KiB of /proc/PID/status.
func (c *child) status(field string) (float64, error) {
	text, err := os.ReadFile(c.proc("status"))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^` + field + `:\s*(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no %s in %q", field, text)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// resetPeak makes the kernel forget VmHWM (proc(5), clear_refs).
func (c *child) resetPeak() error { return os.WriteFile(c.proc("clear_refs"), []byte("5"), 0) }

func (c *child) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", c.cmd.Process.Pid, file)
}
