package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/env"
	"github.com/headgate/gateway/credsource/file"
	"github.com/headgate/gateway/credsource/static"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy/secret"
)

func (r *resolver) route(c *Route, key secret.Value, detectors map[string]mask.Detector) {
	l := c.Limits
	cfg := pgproxy.Config{
		Upstream: c.Upstream, Database: c.Database, TLS: r.serverTLS(c.TLS), MaskKey: key, Detectors: detectors,
		UpstreamRandom: c.UpstreamRandom, UpstreamDirectTLS: c.UpstreamTLS.Direct, RequireChannelBinding: c.UpstreamTLS.ChannelBinding == "require",
		CertificateSuffices: c.CertificateSuffices, PassNotifications: c.PassNotifications,
		Propagate:         propagation(c.Propagate),
		MaxStatementBytes: l.StatementBytes, MaxMessageBytes: l.MessageBytes, MaxRowBytes: l.RowBytes,
		MaxHeldBytes: l.HeldBytes, MaxPipeline: l.Pipeline, MaxNames: l.Names,
		FactsCacheBytes: l.FactsCacheBytes, StartupTimeout: l.StartupTimeout, ConnectTimeout: l.ConnectTimeout,
		CatalogueMaxAge: l.CatalogueMaxAge,
	}
	if c.TargetSession != "any" {
		cfg.TargetSession = pgproxy.TargetSession(c.TargetSession)
	}
	if c.OAuth != nil {
		cfg.OAuth = &pgproxy.OAuth{Issuer: c.OAuth.Issuer, Scope: c.OAuth.Scope}
	}
	cfg.UpstreamTLS = r.upstreamTLS(c.UpstreamTLS)
	cfg.UpstreamPlaintext = c.UpstreamTLS.Mode == "disable"
	var parts RouteParts
	if c.Upstream != "" && c.Database != "" { // reported when it was read
		interceptor, err := pgproxy.New(cfg)
		r.problems.report(c.place, err)
		parts.Interceptor = interceptor
	}
	parts.Credentials = r.credentials(c.Credential)
	r.Routes = append(r.Routes, parts)
}

func (r *resolver) serverTLS(c *ServerTLS) *tls.Config {
	if c == nil {
		return nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.MinVersion == "1.3" {
		out.MinVersion = tls.VersionTLS13
	}
	if c.Cert != "" && c.Key != "" { // reported when it was read
		certificate, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		r.problems.report(c.below("cert"), err)
		out.Certificates = []tls.Certificate{certificate}
	}
	if c.ClientCA != "" {
		out.ClientCAs = r.roots(c.below("client_ca"), c.ClientCA)
		out.ClientAuth = tls.RequireAndVerifyClientCert
		if c.ClientCertificates == "optional" {
			out.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return out
}

func (r *resolver) roots(at place, path string) *x509.CertPool {
	pool := x509.NewCertPool()
	data, err := os.ReadFile(path)
	if err == nil && !pool.AppendCertsFromPEM(data) {
		err = fmt.Errorf("%s holds no certificate", path)
	}
	r.problems.report(at, err)
	return pool
}

// upstreamTLS makes the configuration for the modes that libpq's sslmode knows
// too; nil for none.
func (r *resolver) upstreamTLS(c UpstreamTLS) *tls.Config {
	if c.Mode == "disable" {
		return nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		out.RootCAs = r.roots(c.below("ca"), c.CA)
	}
	switch c.Mode {
	case "verify-ca":
		roots := out.RootCAs
		out.InsecureSkipVerify = true // the chain is verified below, the name is not
		out.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, roots) }
	case "require":
		out.InsecureSkipVerify = true // what the operator asked for: encrypted, not authenticated
	}
	return out
}

// verifyChain is the usual verification but for the server's name.
func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}

// credentials makes a source. Those that can change are read again from time to
// time, and whenever the server refuses what was read.
func (r *resolver) credentials(c Credential) credsource.Source {
	var source credsource.Source
	var err error
	switch c.Source {
	case "static":
		source, err = static.New(static.Config{Username: c.Username, Password: c.Password.Value})
		r.problems.report(c.place, err)
		return source
	case "env":
		source, err = env.New(env.Config{Username: c.Username, UserVar: c.UsernameEnv, PasswordVar: c.Password.Env})
	case "file":
		source, err = file.New(file.Config{
			Path: c.Path, Format: file.Format(c.Format), Username: c.Username, UsernamePath: c.UsernamePath, KeyPath: c.KeyPath,
			AllowGroupRead: c.GroupRead,
		})
	default:
		return nil // reported when it was read
	}
	if err != nil {
		r.problems.report(c.place, err)
		return nil
	}
	rotating, err := credsource.NewRotating(credsource.RotatingConfig{Source: source, MaxAge: c.MaxAge})
	if err != nil {
		r.problems.report(c.place, err)
		return nil
	}
	r.closers = append(r.closers, rotating.Close)
	return rotating
}
