package main

import (
	"context"
	"crypto/ed25519"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource/static"
	"github.com/headgate/gateway/examples/internal/bearer"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/opa"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

//go:embed policy
var policies embed.FS

// A stage is everything that the demonstration needs: an identity provider, a
// database, an approvals API, a recorder, and the gateway between them.
type stage struct {
	provider  *oidctest.Provider
	database  *database
	witness   *witness
	engine    *approve.Engine
	tickets   chan approve.Ticket // what the approver is told of
	recorder  *record.Dir
	recording string
	key       ed25519.PublicKey
	gateway   *gateway.Gateway
	address   string // the gateway's
	approvals string // the approvals API's URL
	life      time.Duration

	closers []func(context.Context) error // in the order of opening
}

// newStage starts everything, on free ports of the loopback interface.
func newStage(ctx context.Context, o options) (*stage, error) {
	s := &stage{tickets: make(chan approve.Ticket, 16), life: 10 * time.Minute}
	if o.serve {
		s.life = 8 * time.Hour
	}
	for _, open := range []func(context.Context, options) error{
		s.openProvider, s.openDatabase, s.openPolicy, s.openRecorder, s.openApprovals, s.openGateway,
	} {
		if err := open(ctx, o); err != nil {
			return nil, errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}
	return s, nil
}

// close ends everything, the last opened first.
func (s *stage) close(ctx context.Context) error {
	var err error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		err = errors.Join(err, s.closers[last](ctx))
		s.closers = s.closers[:last]
	}
	return err
}

func (s *stage) onClose(f func(context.Context) error) { s.closers = append(s.closers, f) }

func (s *stage) openProvider(context.Context, options) error {
	var err error
	if s.provider, err = oidctest.Start(oidctest.Config{}); err != nil { //nolint:contextcheck // it lives until it is closed
		return err
	}
	s.onClose(func(context.Context) error { return s.provider.Close() })
	return nil
}

func (s *stage) openDatabase(ctx context.Context, o options) error {
	var err error
	if s.database, err = openDatabase(ctx, o.postgres); err != nil {
		return err
	}
	s.onClose(s.database.close)
	return nil
}

func (s *stage) openPolicy(ctx context.Context, _ options) error {
	files, err := fs.Sub(policies, "policy")
	if err != nil {
		return err
	}
	evaluator, err := opa.New(ctx, opa.Config{FS: files})
	s.witness = &witness{Evaluator: evaluator}
	return err
}

func (s *stage) openRecorder(_ context.Context, o options) error {
	s.recording = o.record
	if s.recording == "" {
		dir, err := os.MkdirTemp("", "headgate-quickstart-")
		if err != nil {
			return err
		}
		s.recording = dir
		s.onClose(func(context.Context) error { return os.RemoveAll(dir) })
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	s.key = public
	s.recorder, err = record.NewDir(record.DirConfig{Path: filepath.Join(s.recording, "sessions"), SigningKey: private})
	if err != nil {
		return err
	}
	s.onClose(func(context.Context) error { return s.recorder.Close() })
	return nil
}

// The audiences of tokens: an agent's is no good for approving.
const (
	agentAudience    = "headgate"
	approverAudience = "headgate-approvals"
)

func (s *stage) verifier(audience string) (*oidc.Verifier, error) {
	v, err := oidc.New(oidc.Config{Issuers: []oidc.Issuer{{URL: s.provider.Issuer(), Audiences: []string{audience}, Algorithms: []string{"ES256"}}}})
	if err != nil {
		return nil, err
	}
	s.onClose(func(context.Context) error { return v.Close() })
	return v, nil
}

func (s *stage) openApprovals(ctx context.Context, _ options) error {
	approvers, err := s.verifier(approverAudience)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.approvals = "http://" + listener.Addr().String()
	s.engine, err = approve.NewEngine(approve.Config{
		URL:            func(id string) string { return s.approvals + "/requests/" + id },
		ApproverGroups: []string{"dba"},
		Notify: func(_ context.Context, t approve.Ticket) {
			select {
			case s.tickets <- t:
			default: // nobody listens; the API shows it all the same
			}
		},
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: s.engine.Handler(bearer.Auth(approvers)), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.onClose(func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if failure := <-served; !errors.Is(failure, http.ErrServerClosed) {
			err = errors.Join(err, failure)
		}
		return err
	})
	return nil
}

func (s *stage) openGateway(ctx context.Context, o options) error {
	agents, err := s.verifier(agentAudience)
	if err != nil {
		return err
	}
	proxy, err := pgproxy.New(pgproxy.Config{
		Upstream: s.database.address, Database: s.database.name, UpstreamTLS: s.database.tls, UpstreamPlaintext: s.database.tls == nil,
	})
	if err != nil {
		return err
	}
	credentials, err := static.New(static.Config{Username: s.database.user, Password: secret.New(s.database.password)})
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = listener.Addr().String()
	s.gateway, err = gateway.New(gateway.Config{
		Identity: agents, Policy: s.witness, Recorder: s.recorder, Approver: s.engine, Logger: o.logger,
		Routes: []gateway.Route{{Name: "shop", Interceptor: proxy, Credentials: credentials, Listener: listener}},
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	served := make(chan error, 1)
	go func() { served <- s.gateway.Serve(context.WithoutCancel(ctx)) }()
	s.onClose(func(ctx context.Context) error { return errors.Join(s.gateway.Shutdown(ctx), <-served) })
	return nil
}

// agentToken is what the provider gives to an agent that works for ann.
func (s *stage) agentToken(audience string) (string, error) {
	return s.provider.Mint(map[string]any{
		"sub": "ann@shop.example", "aud": audience, "groups": []string{"agents"},
		"act": map[string]any{"sub": "support-agent"}, "exp": time.Now().Add(s.life).Unix(),
	})
}

// approverToken is what it gives to bea, who may approve.
func (s *stage) approverToken() (string, error) {
	return s.provider.Mint(map[string]any{
		"sub": "bea@shop.example", "aud": approverAudience, "groups": []string{"dba"}, "exp": time.Now().Add(s.life).Unix(),
	})
}

// url is how a client with that token gets to the gateway.
func (s *stage) url(token string) string {
	return fmt.Sprintf("postgres://agent:%s@%s/%s?sslmode=disable", token, s.address, s.database.name)
}
