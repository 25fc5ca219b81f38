// Command standalone runs a Headgate gateway from one YAML file.
//
//	go run ./examples/standalone -config gateway.yaml
//	go run ./examples/standalone -config gateway.yaml -check
//
// SIGINT and SIGTERM end it: clients are told, sessions are sealed, and what
// takes longer than shutdown_grace is cut off. A second signal ends it at once.
// SIGHUP reads the policy again; if that fails the old one stays in use.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/headgate/gateway/examples/standalone/config"
)

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	os.Exit(command{
		args: os.Args[1:], stdout: os.Stdout, stderr: os.Stderr, lookup: os.LookupEnv, signals: signals,
	}.run(context.Background()))
}

// A command is the program with everything that it gets from outside.
type command struct {
	args           []string
	stdout, stderr io.Writer
	lookup         func(string) (string, bool)
	signals        <-chan os.Signal
	// ready is told of the gateway once it serves. Nil tells nobody.
	ready func(*server)
}

// Exit codes.
const (
	exitGood  = 0
	exitBad   = 1
	exitUsage = 2
)

func (c command) run(ctx context.Context) int {
	flags := flag.NewFlagSet("standalone", flag.ContinueOnError)
	flags.SetOutput(c.stderr)
	path := flags.String("config", "gateway.yaml", "the configuration `file`")
	check := flags.Bool("check", false, "print the resolved configuration and every problem, and exit")
	if err := flags.Parse(c.args); err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(c.stderr, "unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}
	if err := c.serve(ctx, *path, *check); err != nil {
		c.complain(*path, err)
		return exitBad
	}
	return exitGood
}

// complain prints an error; problems of the configuration one by one.
func (c command) complain(path string, err error) {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			_, _ = fmt.Fprintf(c.stderr, "%s: %s\n", path, p)
		}
		return
	}
	_, _ = fmt.Fprintln(c.stderr, err)
}

func (c command) serve(ctx context.Context, path string, check bool) error {
	cfg, parts, err := c.load(ctx, path)
	if parts != nil {
		defer func() { _ = parts.Close(context.WithoutCancel(ctx)) }() // all sessions have ended
	}
	if check && cfg != nil {
		text, showErr := cfg.Show()
		_, _ = c.stdout.Write(text)
		err = errors.Join(err, showErr)
	}
	if err != nil || check {
		return err
	}
	s, err := open(ctx, cfg, parts, c.stderr)
	if err != nil {
		return err
	}
	if c.ready != nil {
		c.ready(s)
	}
	return s.run(ctx, c.signals)
}

// load reads and resolves the configuration. Problems of both are reported
// together.
func (c command) load(ctx context.Context, path string) (*config.Config, *config.Parts, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // only read
	cfg, err := config.Load(f)
	if cfg == nil {
		return nil, nil, err
	}
	parts, resolveErr := cfg.Resolve(ctx, c.lookup)
	return cfg, parts, config.Join(err, resolveErr)
}
