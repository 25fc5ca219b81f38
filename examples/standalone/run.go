package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
)

// run serves until a signal comes or something fails, and then shuts down.
func (s *server) run(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make(chan error, 2)
	running := 1
	go func() { failures <- s.gateway.Serve(ctx) }()
	if s.approvals != nil {
		running++
		go func() { failures <- s.serveApprovals() }()
	}
	err := s.wait(ctx, signals, failures, &running)
	cancel()
	err = errors.Join(err, s.shutdown(context.WithoutCancel(ctx), signals))
	for ; running > 0; running-- {
		err = errors.Join(err, <-failures)
	}
	return errors.Join(err, s.close())
}

// wait returns when the program should end.
func (s *server) wait(ctx context.Context, signals <-chan os.Signal, failures <-chan error, running *int) error {
	for {
		select {
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				s.logger.Info("ending", "signal", sig.String())
				return nil
			}
			s.reload(ctx)
		case err := <-failures:
			*running--
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *server) reload(ctx context.Context) {
	if err := s.policy.Reload(ctx); err != nil {
		s.logger.Error("the policy could not be read; the old one stays in use", "error", err)
		return
	}
	s.logger.Info("policy reloaded", "revision", s.policy.Revision())
}

func (s *server) serveApprovals() error {
	var err error
	if s.approvals.TLSConfig != nil {
		err = s.approvals.ServeTLS(s.listener, "", "")
	} else {
		err = s.approvals.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("approvals: %w", err)
}

// shutdown ends all sessions within the grace, or at the next signal.
func (s *server) shutdown(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, s.grace)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := s.gateway.Shutdown(ctx)
		if s.approvals != nil {
			err = errors.Join(err, s.approvals.Shutdown(ctx))
		}
		done <- err
	}()
	for {
		select {
		case err := <-done:
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				cancel()
			}
		}
	}
}

// close closes what is open. It may be called for a server that is not complete.
func (s *server) close() error {
	var failures []error
	for _, l := range s.routes {
		_ = l.Close() // the gateway may have closed it
	}
	if s.approvals != nil {
		failures = append(failures, s.approvals.Close())
	}
	if s.listener != nil {
		_ = s.listener.Close() // the server may have closed it
	}
	if s.recorder != nil {
		failures = append(failures, s.recorder.Close())
	}
	return errors.Join(failures...)
}
