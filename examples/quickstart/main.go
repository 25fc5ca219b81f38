// Command quickstart shows Headgate at work, on a machine that needs nothing but
// Go: an agent's SQL goes through a gateway, from its token to the replay of its
// session.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -serve                     # try it by hand
//	go run ./examples/quickstart -postgres postgres://…     # with a real server
//
// With -postgres a database is made on the server for the demonstration, and
// dropped at the end.
//
// The exit status is 0 only if every step showed what it should.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, nil)
	stop()
	os.Exit(code)
}

// options are what the command line says.
type options struct {
	postgres string
	serve    bool
	record   string
	logger   *slog.Logger
}

// Exit codes.
const (
	exitGood  = 0
	exitBad   = 1
	exitUsage = 2
)

// storyTimeout bounds the demonstration.
const storyTimeout = 2 * time.Minute

// run is the program. serving is told of the stage once -serve waits; nil tells
// nobody.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, serving func(*stage)) int {
	var o options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.postgres, "postgres", "", "the `URL` of a PostgreSQL server to use, with the right to create a database")
	flags.BoolVar(&o.serve, "serve", false, "keep everything up afterwards, to try it by hand")
	flags.StringVar(&o.record, "record", "", "the `directory` to keep recordings in; a temporary one if empty")
	logs := flags.Bool("log", false, "write the gateway's log to standard error")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return exitUsage
	}
	o.logger = slog.New(slog.DiscardHandler)
	if *logs {
		o.logger = slog.New(slog.NewTextHandler(stderr, nil))
	}
	if err := o.run(ctx, stdout, serving); err != nil {
		_, _ = fmt.Fprintf(stderr, "\nquickstart: %v\n", err)
		return exitBad
	}
	return exitGood
}

func (o options) run(ctx context.Context, out io.Writer, serving func(*stage)) (err error) {
	story, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	s, err := newStage(story, o)
	if err != nil {
		return err
	}
	defer func() {
		closing, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer done()
		err = errors.Join(err, s.close(closing))
	}()
	if err := s.tell(story, &teller{out: out}); err != nil {
		return err
	}
	if !o.serve {
		return nil
	}
	if err := s.explain(out); err != nil {
		return err
	}
	if serving != nil {
		serving(s)
	}
	<-ctx.Done()
	return nil
}
