package pgproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
)

// upstream is an authenticated connection to the server.
type upstream struct {
	conn       net.Conn
	parameters map[string]string
	status     byte
	key        upstreamKey
}

// upstreamKey is a server's own cancel key, with what it takes to send it. It
// outlives the startup, so it holds neither the credential's password nor buffers.
type upstreamKey struct {
	proxy   *Interceptor
	host    upstreamHost
	address net.Addr
	// tls is nil for a connection without.
	tls    *tls.Config
	pid    uint32
	secret []byte
}

// cancel asks the server to cancel what the connection is doing.
func (k *upstreamKey) cancel(ctx context.Context) error {
	config := *k.proxy.base
	config.Host, config.Port = k.host.name, k.host.port
	conn, err := pgconn.Construct(&pgconn.HijackedConn{
		Conn: addressed{address: k.address}, TLSConfig: k.tls, PID: k.pid, SecretKey: k.secret, Config: &config,
	})
	if err != nil {
		return fmt.Errorf("pgproxy: cancel: %w", err)
	}
	return conn.CancelRequest(ctx)
}

// addressed is what pgconn needs of a connection to find its server again.
type addressed struct {
	net.Conn

	address net.Addr
}

// RemoteAddr returns the server's address.
func (a addressed) RemoteAddr() net.Addr { return a.address }

// dialUpstream connects and authenticates with the credential, to the first server
// that will do. Whatever an untrusted server says, it is an error at worst.
func (p *Interceptor) dialUpstream(ctx context.Context, cred *credsource.Credential, runtime map[string]string, setup func(context.Context, *pgconn.PgConn) error) (*upstream, error) {
	wants := []TargetSession{p.cfg.TargetSession}
	if p.cfg.TargetSession == PreferStandby {
		wants = []TargetSession{Standby, AnySession}
	}
	var errs []error
	for _, want := range wants {
		for _, host := range p.order() {
			up, err := p.dialHost(ctx, host, want, cred, runtime, setup)
			if err == nil {
				return up, nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", host, err))
			if errors.Is(err, intercept.ErrCredentialRefused) || ctx.Err() != nil {
				return nil, errors.Join(errs...) // the others know the same credential
			}
		}
	}
	return nil, errors.Join(errs...)
}

func (p *Interceptor) dialHost(ctx context.Context, host upstreamHost, want TargetSession, cred *credsource.Credential, runtime map[string]string,
	setup func(context.Context, *pgconn.PgConn) error,
) (up *upstream, err error) {
	defer func() {
		if r := recover(); r != nil {
			up, err = nil, fmt.Errorf("pgproxy: connect: panic: %T", r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, p.cfg.ConnectTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, p.upstreamConfig(host, cred, runtime))
	if err != nil {
		err = connectError(err)
		if errors.Is(err, intercept.ErrCredentialRefused) {
			p.scram.forget(host.String(), cred.Username)
		}
		return nil, err
	}
	defer func() {
		if up == nil {
			_ = conn.Conn().Close() // err is what counts
		}
	}()
	if err := want.check(ctx, conn); err != nil {
		return nil, err
	}
	if err := setup(ctx, conn); err != nil {
		return nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	if err := quiesce(hijacked); err != nil {
		return nil, errors.Join(err, hijacked.Conn.Close())
	}
	if hijacked.TxStatus != statusIdle {
		return nil, errors.Join(fmt.Errorf("%w: ready in state %q", errHostile, hijacked.TxStatus), hijacked.Conn.Close())
	}
	key := upstreamKey{
		proxy: p, host: host, address: hijacked.Conn.RemoteAddr(), tls: hijacked.TLSConfig, pid: hijacked.PID, secret: hijacked.SecretKey,
	}
	return &upstream{conn: hijacked.Conn, parameters: hijacked.ParameterStatuses, status: hijacked.TxStatus, key: key}, nil
}

// quiesce makes sure that nothing but the caller reads from the connection. When
// a write takes long, pgconn starts to read in the background; that read may be
// under way still and would take the answer to the first statement. A read with a
// deadline in the past waits for its end and consumes nothing.
func quiesce(h *pgconn.HijackedConn) error {
	if err := h.Conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return fmt.Errorf("pgproxy: %w", err)
	}
	if _, err := h.Frontend.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) || h.Frontend.ReadBufferLen() != 0 {
		return errors.Join(errors.New("pgproxy: server sent what nobody asked for"), err)
	}
	if err := h.Conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("pgproxy: %w", err)
	}
	return nil
}

// baseConfig sets every field that matters itself: what pgconn would take from the
// environment or from files in the home directory does not count.
func (c *Config) baseConfig() (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig("host=localhost port=1 user=x password=x dbname=x sslmode=disable sslnegotiation=postgres " +
		"sslcertmode=allow channel_binding=prefer min_protocol_version=3.0 max_protocol_version=3.0 target_session_attrs=any " +
		"connect_timeout=0 passfile=/dev/null")
	if err != nil {
		return nil, err
	}
	config.Fallbacks = nil
	config.RequireAuth = ""
	config.KerberosSrvName, config.KerberosSpn = "", ""
	config.MaxProtocolMessageBodyLen = c.MaxMessageBytes
	config.Database = c.Database
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend { return guardedFrontend(r, w, nil, false) }
	config.AfterNetConnect = checkProtocol
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return detachable(conn), nil
	}
	if c.UpstreamDirectTLS {
		config.SSLNegotiation = "direct"
	}
	if c.RequireChannelBinding {
		config.ChannelBinding = "require"
	}
	return config, nil
}

func (p *Interceptor) upstreamConfig(host upstreamHost, cred *credsource.Credential, runtime map[string]string) *pgconn.Config {
	config := *p.base
	config.Host, config.Port = host.name, host.port
	config.User, config.Password = cred.Username, cred.Password.Reveal()
	config.RuntimeParams = runtime
	config.TLSConfig = p.upstreamTLS(host.name, cred)
	if isPlainText(config.Password) {
		config.ChannelBinding = "disable" // the greeter sees to it
		user, password := config.User, config.Password
		config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
			login := &scramExchange{keys: &p.scram, server: host.String(), user: user, password: password}
			return guardedFrontend(r, w, login, p.cfg.RequireChannelBinding)
		}
	}
	if config.TLSConfig == nil && !isLocalHost(host.name) {
		config.RequireAuth = "!password" // never send the password readably
	}
	return &config
}

// checkProtocol makes sure that TLS to the server is for PostgreSQL: where it
// begins at once the server must say so, elsewhere it may.
func checkProtocol(ctx context.Context, config *pgconn.Config, conn net.Conn) (net.Conn, error) {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return conn, nil
	}
	if err := secured.HandshakeContext(ctx); err != nil {
		return conn, fmt.Errorf("pgproxy: TLS: %w", err)
	}
	direct := config.SSLNegotiation == "direct"
	if agreed := secured.ConnectionState().NegotiatedProtocol; agreed != alpn && (direct || agreed != "") {
		return conn, fmt.Errorf("pgproxy: the server's TLS is for protocol %q", agreed)
	}
	return conn, nil
}

func (p *Interceptor) upstreamTLS(host string, cred *credsource.Credential) *tls.Config {
	if p.cfg.UpstreamPlaintext {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.cfg.UpstreamTLS != nil {
		config = p.cfg.UpstreamTLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{alpn}
	if cred.Certificate != nil {
		config.Certificates = []tls.Certificate{*cred.Certificate}
	}
	return config
}

func isLocalHost(host string) bool {
	if len(host) > 0 && host[0] == '/' {
		return true
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// connectError marks errors that mean that the credential was not accepted
// (SQLSTATE class 28), so that the Guard asks for a fresh one.
func connectError(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) && len(server.Code) == 5 && server.Code[:2] == "28" {
		return fmt.Errorf("%w: SQLSTATE %s", intercept.ErrCredentialRefused, server.Code)
	}
	return fmt.Errorf("pgproxy: connect: %w", err)
}
