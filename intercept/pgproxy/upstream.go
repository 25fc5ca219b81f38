package pgproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
)

// upstream is an authenticated connection to the server.
type upstream struct {
	conn       net.Conn
	parameters map[string]string
	status     byte
	// key is the server's own cancel key, with what it takes to send it.
	key *pgconn.HijackedConn
}

// cancel asks the server to cancel what the connection is doing.
func (u *upstream) cancel(ctx context.Context) error {
	conn, err := pgconn.Construct(u.key) // of no other use: the socket is the session's
	if err != nil {
		return fmt.Errorf("pgproxy: cancel: %w", err)
	}
	return conn.CancelRequest(ctx)
}

// dialUpstream connects and authenticates with the credential.
func (p *Interceptor) dialUpstream(ctx context.Context, cred *credsource.Credential, runtime map[string]string, setup func(context.Context, *pgconn.PgConn) error) (*upstream, error) {
	config, err := p.upstreamConfig(cred, runtime)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.ConnectTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, connectError(err)
	}
	if err := setup(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	if err := quiesce(hijacked); err != nil {
		return nil, errors.Join(err, hijacked.Conn.Close())
	}
	hijacked.Frontend = nil // its buffers are of no more use
	return &upstream{conn: hijacked.Conn, parameters: hijacked.ParameterStatuses, status: hijacked.TxStatus, key: hijacked}, nil
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

// upstreamConfig sets every field that matters itself: what pgconn would take
// from the environment or from files in the home directory does not count.
func (p *Interceptor) upstreamConfig(cred *credsource.Credential, runtime map[string]string) (*pgconn.Config, error) {
	host, portText, err := net.SplitHostPort(p.cfg.Upstream)
	if err != nil {
		return nil, fmt.Errorf("pgproxy: upstream: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("pgproxy: upstream port: %w", err)
	}
	config, err := pgconn.ParseConfig("host=localhost port=1 user=x password=x dbname=x sslmode=disable sslnegotiation=postgres " +
		"sslcertmode=allow channel_binding=prefer min_protocol_version=3.0 max_protocol_version=3.0 target_session_attrs=any " +
		"connect_timeout=0 passfile=/dev/null")
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	config.Host, config.Port = host, uint16(port)
	config.User, config.Password, config.Database = cred.Username, cred.Password.Reveal(), p.cfg.Database
	config.RuntimeParams = runtime
	config.Fallbacks = nil
	config.RequireAuth = ""
	config.KerberosSrvName, config.KerberosSpn = "", ""
	config.MaxProtocolMessageBodyLen = p.cfg.MaxMessageBytes
	config.TLSConfig = p.upstreamTLS(host, cred)
	if config.TLSConfig == nil {
		config.RequireAuth = "!password" // never send the password readably
		if isLocalHost(host) {
			config.RequireAuth = ""
		}
	}
	return config, nil
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
