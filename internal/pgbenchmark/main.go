//go:build unix

// Command pgbenchmark measures what the gateway costs. In one run, against one
// PostgreSQL that it starts, it drives the same load directly, through a plain TCP
// copy written in Go, and through the gateway with a policy, column masks and
// buffered recording on: pgbench's statements and connections, and results and
// COPY in bulk, in the clear and with TLS on both legs. It prints throughput as a
// share of the direct path's, the proxy's CPU time as a multiple of the plain
// copy's beside the multiple that we aim at, the latency that each adds at one
// client, how fast and how well content is searched, and what the gateway keeps in
// memory.
//
// Every round runs all paths, in an order that rotates; ratios are taken inside a
// round, and the medians over the rounds are printed. CPU times and memory come
// from Linux and are missing on other systems.
//
// Usage: go run ./internal/pgbenchmark [-rounds 3] [-duration 1s] [-only select-c1,rows,memory,…] [-gateway=false]
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
	idle     int
	streamMB int
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
	fs.IntVar(&s.rounds, "rounds", 3, "rounds; medians over them are printed")
	fs.DurationVar(&s.duration, "duration", time.Second, "length of one run of pgbench, whole seconds")
	fs.IntVar(&s.scale, "scale", 10, "size of the tables: pgbench's scale, and twice as many MB in bulk")
	fs.IntVar(&s.idle, "idle", 200, "idle connections whose memory is measured")
	fs.IntVar(&s.streamMB, "stream", 1000, "MB that stream while memory is measured")
	fs.StringVar(&s.only, "only", "", "run these workloads only, comma separated; scanner and memory are two")
	fs.BoolVar(&s.gateway, "gateway", true, "measure the gateway; false leaves the plain copy")
	if err := fs.Parse(args); err != nil {
		return settings{}, err
	}
	if s.rounds < 1 || s.scale < 1 || s.idle < 1 || s.streamMB < 1 || s.duration < time.Second || s.duration%time.Second != 0 {
		return settings{}, errors.New("-rounds, -scale, -idle and -stream must be positive, -duration whole seconds")
	}
	return s, nil
}

// run starts everything, measures and prints.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	loads, extra, err := chosen(s.only)
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
	results := map[string]*series{}
	for _, w := range loads {
		if results[w.name], err = b.measure(ctx, w); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s done\n", w.name)
	}
	if len(loads) > 0 {
		if err := report(out, loads, results); err != nil {
			return err
		}
	}
	var figures []figure
	for _, part := range extra {
		more, err := part.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		figures = append(figures, more...)
	}
	if len(figures) == 0 {
		return nil
	}
	return reportFigures(out, figures)
}

// A part is what is measured without a plain copy to compare with.
type part struct {
	name    string
	measure func(*bench, context.Context) ([]figure, error)
}

func parts() []part {
	if runtime.GOOS != "linux" {
		return nil
	}
	return []part{{"scanner", (*bench).scannerFigures}, {"memory", (*bench).memoryFigures}}
}

// chosen returns the workloads and parts that -only names, or all.
func chosen(only string) ([]workload, []part, error) {
	all, extra := workloads(), parts()
	if only == "" {
		return all, extra, nil
	}
	var out []workload
	var outExtra []part
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(w workload) bool { return w.name == name })
		j := slices.IndexFunc(extra, func(p part) bool { return p.name == name })
		switch {
		case i >= 0:
			out = append(out, all[i])
		case j >= 0:
			outExtra = append(outExtra, extra[j])
		default:
			return nil, nil, fmt.Errorf("no workload %q", name)
		}
	}
	return out, outExtra, nil
}
