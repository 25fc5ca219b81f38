// Package config reads the configuration of the standalone gateway: one YAML
// file, read strictly. Every problem is reported at once, with its line. The
// README beside this package documents each field.
package config

import (
	"time"

	"github.com/headgate/gateway/policy/secret"
)

// Config is the whole configuration, defaults filled in.
type Config struct {
	Identity      Identity
	Policy        Policy
	Record        Record
	Approvals     *Approvals // nil: whatever needs a human is refused
	Mask          Mask
	Routes        []Route
	Entrances     []Entrance
	Limits        Limits
	Log           Log
	ShutdownGrace time.Duration
}

// A Secret stands in the configuration, in a variable or in a file.
type Secret struct {
	place

	Value secret.Value
	Env   string
	File  string
}

// Identity says whose tokens count.
type Identity struct {
	place

	Static []StaticToken
	OIDC   []Issuer
	MTLS   []Certificates
}

// StaticToken is a fixed token and whom it proves.
type StaticToken struct {
	place

	Token   Secret
	Subject string
	Groups  []string
}

// Issuer is an OpenID Connect issuer.
type Issuer struct {
	place

	URL          string
	Audiences    []string
	Algorithms   []string
	Types        []string
	SubjectClaim string
	GroupsClaim  []string
	MaxAge       time.Duration
	JWKSURL      string
}

// Certificates are client certificates that count, by their CA.
type Certificates struct {
	place

	Roots        string
	Name         string
	TrustDomains []string
	Issuer       string
}

// Policy says where the Rego policy is.
type Policy struct {
	place

	Dir, Bundle   string
	AllowBuiltins []string
	AllowHosts    []string
	Timeout       time.Duration
}

// Record says where and how sessions are kept.
type Record struct {
	place

	Dir              string
	Mode             string
	SigningKey       string
	CreateSigningKey bool
	RootKey          Secret
}

// Approvals says who answers what needs a human, and where.
type Approvals struct {
	place

	Listen    string
	BaseURL   string
	TLS       *ServerTLS
	Expiry    time.Duration
	Groups    []string
	Approvers Identity
}

// Mask holds the key of the masks that need one, and patterns of what to find in
// text, by the names that policies use for them.
type Mask struct {
	place

	Key      Secret
	Patterns map[string]string
}

// Route leads from a listener to a database.
type Route struct {
	place

	Name     string
	Protocol string
	Labels   map[string]string
	Listen   string
	TLS      *ServerTLS
	// CertificateSuffices says that a client with a certificate needs no token.
	CertificateSuffices bool
	OAuth               *OAuth // nil: the token is the password
	// Upstream is the server's address, or several with commas between them.
	Upstream          string
	UpstreamRandom    bool
	TargetSession     string
	UpstreamTLS       UpstreamTLS
	Database          string
	Credential        Credential
	PassNotifications bool
	Propagate         Propagate
	Limits            RouteLimits
}

// Propagate says what the server is told of who a session belongs to.
type Propagate struct {
	place

	ApplicationName bool
	// Settings and Role name facts: "subject", "issuer" or "claim.NAME".
	Settings map[string]string
	Role     string
}

// An Entrance is a listener that leads to several routes.
type Entrance struct {
	place

	Listen string
	TLS    *ServerTLS
	Routes []EntranceRoute
}

// EntranceRoute says which clients of an entrance get to a route.
type EntranceRoute struct {
	place

	Route                  string
	ServerNames, Databases []string
}

// OAuth says where clients get the token that they present by OAUTHBEARER.
type OAuth struct {
	place

	Issuer string
	Scope  string
}

// ServerTLS is TLS towards clients.
type ServerTLS struct {
	place

	Cert, Key  string
	MinVersion string
	// ClientCA is the CA of certificates that clients must have, or may have where
	// ClientCertificates is "optional".
	ClientCA           string
	ClientCertificates string
}

// UpstreamTLS is TLS towards the database.
type UpstreamTLS struct {
	place

	Mode       string
	CA         string
	ServerName string
	// Direct begins with TLS.
	Direct bool
	// ChannelBinding is "prefer" or "require".
	ChannelBinding string
}

// Credential says what the database is logged in to with.
type Credential struct {
	place

	Source      string
	Username    string
	UsernameEnv string
	// Password holds the secret of the sources static and env.
	Password     Secret
	Path         string
	Format       string
	UsernamePath string
	KeyPath      string
	GroupRead    bool
	MaxAge       time.Duration
}

// RouteLimits bound a route; zero means the default of pgproxy.Config.
type RouteLimits struct {
	StatementBytes, MessageBytes, RowBytes, HeldBytes, Pipeline, Names, FactsCacheBytes int

	StartupTimeout, ConnectTimeout, CatalogueMaxAge time.Duration
}

// Limits bound the gateway; zero means the default of gateway.Config.
type Limits struct {
	Connections, Unauthenticated  int
	LoginTimeout, DecisionTimeout time.Duration
}

// Log says what is logged to standard error.
type Log struct {
	Level  string
	Format string
}
