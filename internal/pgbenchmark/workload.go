//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// A workload is a load that every path carries in turn.
type workload struct {
	name  string
	route string // of the gateway, routePlain if empty
	unit  string // what rates and CPU times are counted in
	// target and stretch are the multiples of the plain copy's CPU time that we
	// aim at; zero for none.
	target, stretch float64
	run             func(context.Context, *bench, workload, *target) (point, error)
	warm            bool // run once before it counts

	// pgbench's: clients, statements of one transaction, arguments, and a script
	// of its own instead of a built-in.
	clients    int
	statements int
	args       []string
	script     string
	// bulk's: the statement whose result, or input, is the load.
	sql string
}

// maskedScript reads a column that the benchmark's policy masks.
const maskedScript = `\set aid random(1, 100000 * :scale)
SELECT aid, filler FROM pgbench_accounts WHERE aid = :aid;
`

func workloads() []workload {
	simple, prepared, connecting := []string{"-S"}, []string{"-S", "-M", "prepared"}, []string{"-S", "-C"}
	statements := func(w workload) workload {
		w.run, w.unit, w.statements = drive, "statement", max(w.statements, 1)
		return w
	}
	connections := func(w workload) workload {
		w.run, w.unit, w.statements, w.clients, w.args, w.warm = drive, "connection", 1, 4, connecting, true
		return w
	}
	bulk := func(w workload) workload {
		w.unit, w.warm = "MB", true
		if w.run == nil {
			w.run = readBulk
		}
		return w
	}
	return []workload{
		statements(workload{name: "select-c1", clients: 1, args: simple, warm: true}),
		statements(workload{name: "select-c8", clients: 8, args: simple, target: 1, stretch: .8}),
		statements(workload{name: "select-c32", clients: 32, args: simple}),
		statements(workload{name: "prepared-c1", clients: 1, args: prepared}),
		statements(workload{name: "prepared-c8", clients: 8, args: prepared, target: 1, stretch: .8}),
		statements(workload{name: "masked-c8", clients: 8, args: []string{"-M", "prepared"}, script: maskedScript}),
		statements(workload{name: "default-c8", clients: 8, statements: 7}),
		statements(workload{name: "tls-select-c8", route: routeTLS, clients: 8, args: simple, target: 1.5, stretch: 1.1}),
		statements(workload{name: "tls-prepared-c8", route: routeTLS, clients: 8, args: prepared, target: 1.5, stretch: 1.1}),
		connections(workload{name: "connect", target: 1.6, stretch: 1.25}),
		connections(workload{name: "connect-scram", route: routeSCRAM}),
		connections(workload{name: "tls-connect", route: routeTLS}),
		bulk(workload{name: "rows", sql: rowsSQL, target: 1.6, stretch: 1.25}),
		bulk(workload{name: "rows-masked", sql: maskedSQL, target: 2, stretch: 1.3}),
		bulk(workload{name: "rows-detect", sql: rowsSQL, route: routeDetect, target: 1.6, stretch: 1.25}),
		bulk(workload{name: "rows-found", sql: piiSQL, route: routeDetect, target: 2, stretch: 1.3}),
		bulk(workload{name: "copy-out", sql: copyOutSQL, target: 2.5, stretch: 1.6}),
		bulk(workload{name: "copy-masked", sql: copyMaskedSQL, target: 2.5, stretch: 1.6}),
		bulk(workload{name: "copy-in", sql: copyInSQL, run: writeBulk, target: 2.5, stretch: 1.6}),
		bulk(workload{name: "tls-rows", sql: rowsSQL, route: routeTLS, target: 2.5, stretch: 1.8}),
	}
}

// drive runs pgbench through the path t.
func drive(ctx context.Context, b *bench, w workload, t *target) (point, error) {
	ctx, cancel := context.WithTimeout(ctx, b.duration+time.Minute)
	defer cancel()
	args := []string{"-n", "-T", strconv.Itoa(int(b.duration.Seconds())), "-c", strconv.Itoa(w.clients), "-j", "1"}
	args = append(args, w.args...)
	if w.script != "" {
		args = append(args, "-D", "scale="+strconv.Itoa(b.scale), "-f", b.script(w.name))
	}
	cmd := exec.CommandContext(ctx, b.pgbench, args...)
	cmd.Env = t.env()
	before := t.child.cpu()
	out, err := cmd.CombinedOutput()
	used := t.child.cpu() - before
	if err != nil {
		return point{}, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	got, err := parseOutcome(string(out))
	if err != nil {
		return point{}, err
	}
	return point{
		perSecond: got.perSecond,
		latency:   time.Duration(float64(w.clients) / got.perSecond * float64(time.Second)),
		cpu:       used / (got.transactions * float64(w.statements)),
	}, nil
}

// An outcome is what one run of pgbench says.
type outcome struct {
	transactions float64
	perSecond    float64
}

// parseOutcome reads what pgbench prints. A failed transaction fails the run: it
// is cheaper than one that works.
func parseOutcome(text string) (outcome, error) {
	number := func(pattern string) float64 {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			return -1
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return -1
		}
		return v
	}
	got := outcome{
		transactions: number(`(?m)^number of transactions actually processed: (\d+)`),
		perSecond:    number(`(?m)^tps = ([0-9.]+)`),
	}
	if got.transactions <= 0 || got.perSecond <= 0 || number(`(?m)^number of failed transactions: (\d+)`) > 0 {
		return outcome{}, fmt.Errorf("pgbench said %q", text)
	}
	return got, nil
}
