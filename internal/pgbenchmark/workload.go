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

// A workload is one way to run pgbench.
type workload struct {
	name       string
	clients    int
	statements int // in one transaction
	args       []string
	script     string // of its own, instead of a built-in
}

// maskedScript reads a column that the benchmark's policy masks.
const maskedScript = `\set aid random(1, 100000 * :scale)
SELECT aid, filler FROM pgbench_accounts WHERE aid = :aid;
`

func workloads() []workload {
	simple, prepared := []string{"-S"}, []string{"-S", "-M", "prepared"}
	return []workload{
		{name: "select-c1", clients: 1, statements: 1, args: simple},
		{name: "select-c8", clients: 8, statements: 1, args: simple},
		{name: "select-c32", clients: 32, statements: 1, args: simple},
		{name: "prepared-c1", clients: 1, statements: 1, args: prepared},
		{name: "prepared-c8", clients: 8, statements: 1, args: prepared},
		{name: "prepared-c32", clients: 32, statements: 1, args: prepared},
		{name: "masked-c8", clients: 8, statements: 1, args: []string{"-M", "prepared"}, script: maskedScript},
		{name: "default-c8", clients: 8, statements: 7},
	}
}

// An outcome is what one run of pgbench says.
type outcome struct {
	transactions float64
	perSecond    float64
}

// drive runs pgbench through the path t. scripts is the directory with the
// workloads' own scripts.
func (b *bench) drive(ctx context.Context, w workload, t *target) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, b.duration+time.Minute)
	defer cancel()
	args := []string{"-n", "-T", strconv.Itoa(int(b.duration.Seconds())), "-c", strconv.Itoa(w.clients), "-j", "1"}
	args = append(args, w.args...)
	if w.script != "" {
		args = append(args, "-D", "scale="+strconv.Itoa(b.scale), "-f", b.script(w.name))
	}
	cmd := exec.CommandContext(ctx, b.pgbench, args...)
	cmd.Env = t.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return outcome{}, fmt.Errorf("%s by %s: pgbench: %w\n%s", w.name, t.name, err, out)
	}
	got, err := parseOutcome(string(out))
	if err != nil {
		return outcome{}, fmt.Errorf("%s by %s: %w", w.name, t.name, err)
	}
	return got, nil
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
