package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/examples/internal/bearer"
	"github.com/headgate/gateway/examples/standalone/config"
	"github.com/headgate/gateway/policy/opa"
	"github.com/headgate/gateway/record"
)

// A server is the gateway with what stands around it.
type server struct {
	gateway   *gateway.Gateway
	recorder  *record.Dir
	policy    *opa.Evaluator
	approvals *http.Server
	listener  net.Listener   // for approvals
	routes    []net.Listener // those of entrances behind those of routes
	logger    *slog.Logger
	grace     time.Duration
}

// open opens the recorder and the listeners and puts the gateway together.
func open(ctx context.Context, cfg *config.Config, parts *config.Parts, logs io.Writer) (*server, error) {
	s := &server{logger: newLogger(cfg.Log, logs), policy: parts.Policy, grace: cfg.ShutdownGrace}
	err := s.open(ctx, cfg, parts)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *server) open(ctx context.Context, cfg *config.Config, parts *config.Parts) error {
	var err error
	if s.recorder, err = newRecorder(cfg, parts); err != nil {
		return err
	}
	approver, err := s.openApprovals(ctx, cfg, parts)
	if err != nil {
		return err
	}
	routes := make([]gateway.Route, len(cfg.Routes))
	for i, r := range cfg.Routes {
		routes[i] = gateway.Route{
			Name: r.Name, Labels: r.Labels, Interceptor: parts.Routes[i].Interceptor, Credentials: parts.Routes[i].Credentials,
		}
		if r.Listen == "" {
			continue // an entrance leads to it
		}
		listener, err := listen(ctx, r.Listen)
		if err != nil {
			return fmt.Errorf("route %s: %w", r.Name, err)
		}
		s.routes = append(s.routes, listener)
		routes[i].Listener = listener
		s.logger.Info("listening", "route", r.Name, "address", listener.Addr().String(), "upstream", r.Upstream)
	}
	entrances, err := s.openEntrances(ctx, cfg, parts)
	if err != nil {
		return err
	}
	s.gateway, err = gateway.New(gateway.Config{
		Identity: parts.Identity, Policy: parts.Policy, Recorder: s.recorder, Approver: approver, Routes: routes, Entrances: entrances, Logger: s.logger,
		MaxConnections: cfg.Limits.Connections, MaxUnauthenticated: cfg.Limits.Unauthenticated, DecisionTimeout: cfg.Limits.DecisionTimeout,
		LoginTimeout: cfg.Limits.LoginTimeout,
	})
	return err
}

func (s *server) openEntrances(ctx context.Context, cfg *config.Config, parts *config.Parts) ([]gateway.Entrance, error) {
	entrances := make([]gateway.Entrance, len(cfg.Entrances))
	for i, e := range cfg.Entrances {
		listener, err := listen(ctx, e.Listen)
		if err != nil {
			return nil, fmt.Errorf("entrance %d: %w", i, err)
		}
		s.routes = append(s.routes, listener)
		entrances[i] = gateway.Entrance{Listener: listener, Chooser: parts.Entrances[i]}
		s.logger.Info("listening", "entrance", i, "address", listener.Addr().String())
	}
	return entrances, nil
}

func newLogger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // one of four words
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func newRecorder(cfg *config.Config, parts *config.Parts) (*record.Dir, error) {
	key := parts.SigningKey
	if key == nil {
		var err error
		if key, err = record.GenerateKey(cfg.Record.SigningKey); err != nil {
			return nil, err
		}
	}
	return record.NewDir(record.DirConfig{Path: cfg.Record.Dir, Mode: parts.Mode, SigningKey: key, RootKey: parts.RootKey})
}

// listen opens host:port, or a Unix socket for a path. A socket that a process
// has left behind is removed if nobody answers on it.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	if !strings.HasPrefix(address, "/") {
		return lc.Listen(ctx, "tcp", address)
	}
	l, err := lc.Listen(ctx, "unix", address)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	var dialer net.Dialer
	if conn, dialErr := dialer.DialContext(ctx, "unix", address); !errors.Is(dialErr, syscall.ECONNREFUSED) {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, err
	}
	if err := os.Remove(address); err != nil {
		return nil, err
	}
	return lc.Listen(ctx, "unix", address)
}

func (s *server) openApprovals(ctx context.Context, cfg *config.Config, parts *config.Parts) (approve.Approver, error) {
	c := cfg.Approvals
	if c == nil {
		return nil, nil
	}
	engine, err := approve.NewEngine(approve.Config{
		DefaultExpiry: c.Expiry, ApproverGroups: c.Groups,
		URL: func(id string) string { return strings.TrimSuffix(c.BaseURL, "/") + "/requests/" + id },
	})
	if err != nil {
		return nil, err
	}
	if s.listener, err = listen(ctx, c.Listen); err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	s.approvals = &http.Server{
		Handler: engine.Handler(bearer.Auth(parts.Approvers)), TLSConfig: parts.ApprovTLS, ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
	}
	s.logger.Info("listening", "approvals", s.listener.Addr().String())
	return engine, nil
}
