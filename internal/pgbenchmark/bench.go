//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// A target is one path to the server.
type target struct {
	name                           string
	host, port, user, password, db string
	child                          *child // the proxy; nil for the direct path
}

func (t *target) env() []string {
	return append(withoutPostgres(os.Environ()), "PGHOST="+t.host, "PGPORT="+t.port, "PGUSER="+t.user,
		"PGPASSWORD="+t.password, "PGDATABASE="+t.db, "PGSSLMODE=disable", "PGGSSENCMODE=disable")
}

func withoutPostgres(env []string) []string {
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, "PG") {
			out = append(out, v)
		}
	}
	return out
}

// A bench is everything that runs: a server and the paths to it.
type bench struct {
	settings
	dir       string
	workspace *pgserver.Workspace
	pgbench   string
	major     int
	targets   []*target // direct, copy and, unless it was left out, the gateway
}

func newBench(ctx context.Context, s settings) (*bench, error) {
	dir, err := os.MkdirTemp("", "pgbenchmark-")
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, dir: dir}
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// start starts the server, fills it and opens the paths.
func (b *bench) start(ctx context.Context) error {
	direct, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	b.targets = append(b.targets, direct)
	if err := b.fill(ctx, direct); err != nil {
		return err
	}
	plain, err := b.startCopy(ctx, direct)
	if err != nil {
		return err
	}
	b.targets = append(b.targets, plain)
	if !b.gateway {
		return nil
	}
	gateway, err := b.startGateway(ctx, direct)
	if err != nil {
		return err
	}
	b.targets = append(b.targets, gateway)
	return nil
}

func (b *bench) startServer(ctx context.Context) (*target, error) {
	in, err := pgserver.System()
	if err != nil {
		return nil, err
	}
	b.major = in.Major
	if b.pgbench, err = exec.LookPath(filepath.Join(in.Bin, "pgbench")); err != nil {
		if b.pgbench, err = exec.LookPath("pgbench"); err != nil {
			return nil, err
		}
	}
	if b.workspace, err = pgserver.NewWorkspace(); err != nil {
		return nil, err
	}
	t := &target{name: "direct", host: pgserver.Host, user: "bench", password: rand.Text(), db: "postgres"}
	s, err := b.workspace.Start(ctx, pgserver.Config{
		Installation: in, User: t.user, Password: t.password, WALSegmentMB: 16,
		Settings: []string{"shared_buffers=256MB", "max_connections=200", "max_wal_size=4GB", "max_parallel_workers_per_gather=0"},
	})
	if err != nil {
		return nil, err
	}
	t.port = strconv.Itoa(s.Port)
	return t, nil
}

// fill makes pgbench's tables and writes the workloads' own scripts.
func (b *bench) fill(ctx context.Context, direct *target) error {
	cmd := exec.CommandContext(ctx, b.pgbench, "-i", "-q", "-s", strconv.Itoa(b.scale))
	cmd.Env = direct.env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w\n%s", err, out)
	}
	for _, w := range workloads() {
		if w.script == "" {
			continue
		}
		if err := os.WriteFile(b.script(w.name), []byte(w.script), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) script(name string) string { return filepath.Join(b.dir, name+".sql") }

// names returns the paths' names in order.
func (b *bench) names() []string {
	names := make([]string, 0, len(b.targets))
	for _, t := range b.targets {
		names = append(names, t.name)
	}
	return names
}

// warm runs w through every path once, uncounted.
func (b *bench) warm(ctx context.Context, w workload) error {
	for _, t := range b.targets {
		if _, err := b.drive(ctx, w, t); err != nil {
			return err
		}
	}
	return nil
}

// measure runs w in rounds and adds them to s.
func (b *bench) measure(ctx context.Context, w workload, s *series) error {
	for round := range b.rounds {
		r := turn{at: make([]point, len(b.targets))}
		for i := range b.targets {
			n := (i + round) % len(b.targets)
			p, err := b.once(ctx, w, b.targets[n])
			if err != nil {
				return err
			}
			r.at[n] = p
		}
		s.rounds = append(s.rounds, r)
	}
	return nil
}

// once runs w through t and accounts for it.
func (b *bench) once(ctx context.Context, w workload, t *target) (point, error) {
	before := t.child.cpu()
	got, err := b.drive(ctx, w, t)
	if err != nil {
		return point{}, err
	}
	used := t.child.cpu() - before
	return point{
		perSecond: got.perSecond,
		latency:   time.Duration(float64(w.clients) / got.perSecond * float64(time.Second)),
		cpu:       used / (got.transactions * float64(w.statements)),
	}, nil
}

// close stops everything.
func (b *bench) close() error {
	var errs []error
	for _, t := range b.targets {
		errs = append(errs, t.child.stop())
	}
	if b.workspace != nil {
		errs = append(errs, b.workspace.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}
