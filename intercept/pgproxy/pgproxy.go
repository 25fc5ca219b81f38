// Package pgproxy is the Interceptor for PostgreSQL: it speaks the wire protocol
// (versions 3.0 and 3.2, PostgreSQL manual, "Frontend/Backend Protocol") to
// clients and to the server, judges every statement with PostgreSQL's own
// grammar before it is sent, and masks result columns before they are released.
//
// A client proves who it is by a token, as its password or by OAUTHBEARER, or by a
// certificate; the user name that it claims counts for nothing. A Switch leads from
// one listener to several routes. What the package does not carry, as replication, is
// refused with a clear error, never passed.
//
// docs/postgresql.md is the guide for users, docs/limits.md what is not done.
package pgproxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy/secret"
)

// Config is what an Interceptor works with. Upstream and Database are required.
type Config struct {
	// Upstream is the server's address: "host:port", or the absolute path of a
	// Unix socket's directory followed by ":port". Of several, with commas between
	// them, the first that answers and is what TargetSession says is taken.
	Upstream string
	// UpstreamRandom has several servers tried in an order that is drawn each time.
	UpstreamRandom bool
	// TargetSession says what a server must be; zero means that any will do.
	TargetSession TargetSession
	// Database is the database to connect to. Clients name it, or none.
	Database string
	// UpstreamTLS configures TLS to the server. Nil means verify-full with the
	// system's roots. To loopback without TLS set UpstreamPlaintext.
	UpstreamTLS *tls.Config
	// UpstreamDirectTLS begins with TLS, which servers from version 17 understand,
	// and saves a round trip.
	UpstreamDirectTLS bool
	// RequireChannelBinding refuses servers that don't log in by SCRAM bound to
	// their TLS certificate. By default the binding is used where it is offered.
	RequireChannelBinding bool
	// UpstreamPlaintext turns TLS to the server off. The credential and all data
	// then cross that leg readably (SCRAM does not send the password itself).
	UpstreamPlaintext bool
	// TLS configures TLS to clients. Nil means that TLS is refused; then tokens
	// are accepted on loopback and Unix sockets only. Its ClientAuth says whether
	// clients are asked for a certificate. Its NextProtos is set to "postgresql"; a
	// configuration that its GetConfigForClient returns must do that itself, or
	// clients can't begin with TLS at once.
	TLS *tls.Config
	// CertificateSuffices says that a client with a certificate is not asked for a
	// token. By default it is, and the verifier gets both.
	CertificateSuffices bool
	// OAuth makes clients present their token by SASL OAUTHBEARER, as PostgreSQL 18
	// has it. Nil means that the token is the password, which every client can do.
	OAuth *OAuth
	// Detectors find further things in text, by the names that the "detect" of a
	// policy's masks uses for them. See [mask.Config].
	Detectors map[string]mask.Detector
	// Propagate tells the server who a session belongs to; zero means that it is
	// not told.
	Propagate Propagation
	// PassNotifications lets the payloads of notifications through. A trigger may
	// put any value there, and no statement of the listener tells which, so by
	// default a client learns of a notification and its channel, not its payload.
	PassNotifications bool
	// MaskKey keys the "hash" and "fake" masks. Empty means that a policy which
	// uses them has its statements refused.
	MaskKey secret.Value
	// MaxStatementBytes bounds the text of a statement; zero means 1 MiB.
	MaxStatementBytes int
	// MaxMessageBytes bounds a client's message, and one of the server's that is no
	// row; zero means 16 MiB.
	MaxMessageBytes int
	// MaxRowBytes bounds a row in which something must be masked; zero means
	// 128 MiB. What passes of such a row is held until the last masked value has
	// begun, and a value until its end if its mask depends on it. Rows in which
	// nothing is masked have no bound.
	MaxRowBytes int
	// MaxHeldBytes bounds the rows, of all sessions together, that are being masked
	// and not whole yet; zero means 512 MiB. A session that would go beyond it
	// ends. The memory that a row takes can be four times its length.
	MaxHeldBytes int
	// MaxPipeline bounds the client messages that wait for an answer; zero means
	// 10 000. Beyond it the gateway stops reading from the client.
	MaxPipeline int
	// MaxNames bounds prepared statements and portals per session; zero means
	// 10 000.
	MaxNames int
	// StartupTimeout bounds everything until the client is authenticated; zero
	// means 30 s. Waiting for an approval of the connection does not count.
	StartupTimeout time.Duration
	// GoodbyeTimeout bounds how long a client that has said goodbye may go without
	// reading anything of what was sent to it before; zero means 30 s.
	GoodbyeTimeout time.Duration
	// ConnectTimeout bounds connecting to a server; zero means 10 s.
	ConnectTimeout time.Duration
	// CatalogueMaxAge bounds how old the cached catalogue may be; zero means 30 s.
	CatalogueMaxAge time.Duration
	// FactsCacheBytes bounds the memory of cached analyses; zero means 64 MiB.
	FactsCacheBytes int
}

// Interceptor carries PostgreSQL. It is safe for concurrent use; one serves all
// connections of a route.
type Interceptor struct {
	cfg        Config
	hosts      []upstreamHost
	base       *pgconn.Config
	analyzer   *sqlfacts.Analyzer
	cancels    cancelKeys
	catalogues catalogues
	rules      rulesets
	reactors   reactors
	held       allowance
	scram      scramKeys
}

// New returns an Interceptor. It checks cfg and does no I/O.
func New(cfg Config) (*Interceptor, error) {
	if err := validate(&cfg); err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	analyzer, err := sqlfacts.New(sqlfacts.Config{MaxBytes: cfg.MaxStatementBytes, CacheBytes: cfg.FactsCacheBytes})
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	set, err := mask.NewSet(mask.Config{Key: cfg.MaskKey, Detectors: cfg.Detectors})
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	base, err := cfg.baseConfig()
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	hosts, _ := parseHosts(cfg.Upstream) // validated
	return &Interceptor{cfg: cfg, hosts: hosts, base: base, analyzer: analyzer, rules: rulesets{set: set}}, nil
}

// Protocol returns "postgres".
func (p *Interceptor) Protocol() string { return "postgres" }

func validate(c *Config) error {
	var problems []error
	if c.Database == "" {
		problems = append(problems, errors.New("Config.Database is empty"))
	}
	problems = append(append(problems, c.checkUpstream()...), c.checkClients()...)
	sizes := []struct {
		name  string
		value *int
		zero  int
	}{
		{"MaxStatementBytes", &c.MaxStatementBytes, 1 << 20},
		{"MaxMessageBytes", &c.MaxMessageBytes, 16 << 20},
		{"MaxRowBytes", &c.MaxRowBytes, 128 << 20},
		{"MaxHeldBytes", &c.MaxHeldBytes, 512 << 20},
		{"MaxPipeline", &c.MaxPipeline, 10_000},
		{"MaxNames", &c.MaxNames, 10_000},
		{"FactsCacheBytes", &c.FactsCacheBytes, 64 << 20},
	}
	for _, s := range sizes {
		if *s.value < 0 {
			problems = append(problems, fmt.Errorf("negative Config.%s", s.name))
		}
		if *s.value == 0 {
			*s.value = s.zero
		}
	}
	durations := []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&c.StartupTimeout, 30 * time.Second},
		{&c.GoodbyeTimeout, 30 * time.Second},
		{&c.ConnectTimeout, 10 * time.Second},
		{&c.CatalogueMaxAge, 30 * time.Second},
	}
	for _, d := range durations {
		if *d.value <= 0 {
			*d.value = d.zero
		}
	}
	return errors.Join(problems...)
}

// checkUpstream returns what is wrong about the way to the server, and copies it.
func (c *Config) checkUpstream() []error {
	var problems []error
	if _, err := parseHosts(c.Upstream); err != nil {
		problems = append(problems, err)
	}
	if !c.TargetSession.valid() {
		problems = append(problems, fmt.Errorf("Config.TargetSession %q is none", c.TargetSession))
	}
	if c.UpstreamPlaintext && (c.UpstreamDirectTLS || c.RequireChannelBinding) {
		problems = append(problems, errors.New("Config.UpstreamDirectTLS and RequireChannelBinding need TLS"))
	}
	if c.UpstreamPlaintext && c.UpstreamTLS != nil {
		problems = append(problems, errors.New("Config.UpstreamTLS and UpstreamPlaintext exclude each other"))
	}
	if c.UpstreamTLS != nil {
		c.UpstreamTLS = c.UpstreamTLS.Clone()
	}
	return problems
}

// checkClients returns what is wrong about how clients are met, and copies it.
func (c *Config) checkClients() []error {
	var problems []error
	if err := c.Propagate.validate(); err != nil {
		problems = append(problems, err)
	}
	c.Propagate.Settings = maps.Clone(c.Propagate.Settings)
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.NextProtos = []string{alpn}
	}
	if c.OAuth != nil {
		oauth := *c.OAuth
		c.OAuth = &oauth
		if err := oauth.validate(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}
