//go:build unix

// Command pgbenchmark measures what the gateway costs. In one run, against one
// PostgreSQL that it starts, it drives the same pgbench load directly, through a
// plain TCP copy written in Go, and through the gateway with a policy, column
// masks and buffered recording on. It prints throughput as a share of the direct
// path's, the proxy's CPU time per statement as a multiple of the plain copy's,
// and the latency that each adds at one client.
//
// Every round runs all paths, in an order that rotates; ratios are taken inside a
// round, and the medians over the rounds are printed. CPU times come from /proc
// and are missing on other systems than Linux.
//
// Usage: go run ./internal/pgbenchmark [-rounds 5] [-duration 3s] [-only select-c1,…] [-gateway=false]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// copyArgument as the first argument makes this program the plain copy.
const copyArgument = "tcp-copy"

// settings are the program's flags.
type settings struct {
	rounds   int
	duration time.Duration
	scale    int
	only     string
	gateway  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgbenchmark:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == copyArgument {
		return serveCopy(os.Stdin, os.Stdout, args[1])
	}
	s, err := parseFlags(args)
	if err != nil {
		return err
	}
	return run(ctx, s, os.Stdout)
}

func parseFlags(args []string) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("pgbenchmark", flag.ContinueOnError)
	fs.IntVar(&s.rounds, "rounds", 5, "rounds; medians over them are printed")
	fs.DurationVar(&s.duration, "duration", 3*time.Second, "length of one measurement, whole seconds")
	fs.IntVar(&s.scale, "scale", 10, "pgbench's scale: 100 000 rows each")
	fs.StringVar(&s.only, "only", "", "run these workloads only, comma separated")
	fs.BoolVar(&s.gateway, "gateway", true, "measure the gateway; false leaves the plain copy")
	if err := fs.Parse(args); err != nil {
		return settings{}, err
	}
	if s.rounds < 1 || s.scale < 1 || s.duration < time.Second || s.duration%time.Second != 0 {
		return settings{}, errors.New("-rounds and -scale must be positive, -duration whole seconds")
	}
	return s, nil
}

// run starts everything, measures and prints.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	loads, err := chosen(s.only)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	fmt.Fprintf(out, "PostgreSQL %d, %s, %s/%s, %d cores; %d rounds of %v\n\n",
		b.major, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), s.rounds, s.duration)
	if err := b.warm(ctx, loads[0]); err != nil {
		return err
	}
	results := map[string]*series{}
	for _, w := range loads {
		results[w.name] = new(series)
		if err := b.measure(ctx, w, results[w.name]); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s done\n", w.name)
	}
	return report(out, b.names(), loads, results)
}

// chosen returns the workloads that -only names, or all.
func chosen(only string) ([]workload, error) {
	all := workloads()
	if only == "" {
		return all, nil
	}
	var out []workload
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(w workload) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no workload %q", name)
		}
		out = append(out, all[i])
	}
	return out, nil
}
