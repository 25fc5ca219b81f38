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

	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// A target is one path to the server.
type target struct {
	name                           string
	host, port, user, password, db string
	tls                            bool
	child                          *child // the proxy; nil for the direct path
}

// env is the environment of a libpq program that takes this path.
func (t *target) env() []string {
	mode := "disable"
	if t.tls {
		mode = "require"
	}
	return append(withoutPostgres(os.Environ()), "PGHOST="+t.host, "PGPORT="+t.port, "PGUSER="+t.user,
		"PGPASSWORD="+t.password, "PGDATABASE="+t.db, "PGSSLMODE="+mode, "PGGSSENCMODE=disable")
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
	program   string // the gateway's
	major     int
	server    *target // the direct path
	plainCopy *target
	gateways  []*gatewayProcess
	routed    *gatewayProcess // carries the workloads; nil if it was left out
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
	if err := b.startServer(ctx); err != nil {
		return err
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	var err error
	if b.plainCopy, err = b.startCopy(ctx, b.server); err != nil || !b.gateway {
		return err
	}
	b.routed, err = b.startGateway(ctx)
	return err
}

// scramUser logs in with SCRAM; the other user's password is sent as it is, so
// that hashing it is no proxy's work.
const (
	benchUser = "bench"
	scramUser = "scram"
)

func (b *bench) startServer(ctx context.Context) error {
	in, err := pgserver.System()
	if err != nil {
		return err
	}
	b.major = in.Major
	if b.pgbench, err = exec.LookPath(filepath.Join(in.Bin, "pgbench")); err != nil {
		if b.pgbench, err = exec.LookPath("pgbench"); err != nil {
			return err
		}
	}
	if b.workspace, err = pgserver.NewWorkspace(); err != nil {
		return err
	}
	pair, err := b.certificate()
	if err != nil {
		return err
	}
	t := &target{name: "direct", host: pgserver.Host, user: benchUser, password: rand.Text(), db: "postgres"}
	s, err := b.workspace.Start(ctx, pgserver.Config{
		Installation: in, User: t.user, Password: t.password, WALSegmentMB: 16, TLS: pair,
		HBA: []string{
			"local all all scram-sha-256",
			"host all " + scramUser + " 127.0.0.1/32 scram-sha-256",
			"host all " + benchUser + " 127.0.0.1/32 password",
		},
		Settings: []string{
			"shared_buffers=256MB", "max_connections=500", "max_wal_size=4GB",
			"max_parallel_workers_per_gather=0", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
		},
	})
	if err != nil {
		return err
	}
	t.port = strconv.Itoa(s.Port)
	b.server = t
	return s.Exec(ctx, t.db, fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'", scramUser, t.password)) // of letters and digits
}

// fill makes pgbench's tables and those of the workloads, and writes the
// workloads' own scripts.
func (b *bench) fill(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.pgbench, "-i", "-q", "-s", strconv.Itoa(b.scale))
	cmd.Env = b.server.env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w\n%s", err, out)
	}
	if err := b.fillPeople(ctx); err != nil {
		return err
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

// paths returns the ways that a workload is driven: direct, copy and, unless it
// was left out, the gateway.
func (b *bench) paths(w workload) []*target {
	route := or(w.route, routePlain)
	direct, plain := *b.server, *b.plainCopy
	direct.tls, plain.tls = route == routeTLS, route == routeTLS
	if route == routeSCRAM {
		direct.user, plain.user = scramUser, scramUser
	}
	targets := []*target{&direct, &plain}
	if b.routed != nil {
		targets = append(targets, b.routed.routes[route])
	}
	return targets
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// measure runs w in rounds, in an order that rotates.
func (b *bench) measure(ctx context.Context, w workload) (*series, error) {
	targets := b.paths(w)
	s := new(series)
	if w.warm {
		for _, t := range targets {
			if _, err := w.run(ctx, b, w, t); err != nil {
				return nil, fmt.Errorf("%s by %s: %w", w.name, t.name, err)
			}
		}
	}
	for round := range b.rounds {
		r := turn{at: make([]point, len(targets))}
		for i := range targets {
			n := (i + round) % len(targets)
			p, err := w.run(ctx, b, w, targets[n])
			if err != nil {
				return nil, fmt.Errorf("%s by %s: %w", w.name, targets[n].name, err)
			}
			r.at[n] = p
		}
		s.rounds = append(s.rounds, r)
	}
	return s, nil
}

// close stops everything.
func (b *bench) close() error {
	var errs []error
	for _, g := range b.gateways {
		errs = append(errs, g.child.stop())
	}
	if b.plainCopy != nil {
		errs = append(errs, b.plainCopy.child.stop())
	}
	if b.workspace != nil {
		errs = append(errs, b.workspace.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}
