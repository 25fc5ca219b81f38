package pgproxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A TargetSession says which of several servers will do, in libpq's words
// (target_session_attrs).
type TargetSession string

// What a session may be required to be.
const (
	AnySession    TargetSession = ""
	ReadWrite     TargetSession = "read-write"
	ReadOnly      TargetSession = "read-only"
	Primary       TargetSession = "primary"
	Standby       TargetSession = "standby"
	PreferStandby TargetSession = "prefer-standby"
)

func (s TargetSession) valid() bool {
	return slices.Contains([]TargetSession{AnySession, ReadWrite, ReadOnly, Primary, Standby, PreferStandby}, s)
}

// upstreamHost is the address of one server.
type upstreamHost struct {
	name string
	port uint16
}

// String returns "name:port".
func (h upstreamHost) String() string { return net.JoinHostPort(h.name, strconv.Itoa(int(h.port))) }

// maxHosts bounds the servers of one Upstream.
const maxHosts = 32

func parseHosts(upstream string) ([]upstreamHost, error) {
	var hosts []upstreamHost
	for address := range strings.SplitSeq(upstream, ",") {
		name, text, err := net.SplitHostPort(address)
		if err != nil || name == "" {
			return nil, fmt.Errorf("Config.Upstream %q is not host:port, or several with commas between them", upstream)
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("Config.Upstream %q: port %q", upstream, text)
		}
		hosts = append(hosts, upstreamHost{name, uint16(port)})
	}
	if len(hosts) > maxHosts {
		return nil, fmt.Errorf("Config.Upstream has more than %d servers", maxHosts)
	}
	return hosts, nil
}

// order returns the servers in the order in which to try them.
func (p *Interceptor) order() []upstreamHost {
	if !p.cfg.UpstreamRandom || len(p.hosts) < 2 {
		return p.hosts
	}
	hosts := slices.Clone(p.hosts)
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] }) //nolint:gosec // it spreads load
	return hosts
}

// errOtherSession says that a server is not what TargetSession asks for.
var errOtherSession = errors.New("pgproxy: not a server of the kind asked for")

// check finds out whether a server will do: by what it has reported of itself, as
// servers from version 14 do, or by asking.
func (s TargetSession) check(ctx context.Context, conn *pgconn.PgConn) error {
	if s == AnySession {
		return nil
	}
	recovering, readOnly := conn.ParameterStatus("in_hot_standby"), conn.ParameterStatus("default_transaction_read_only")
	if recovering == "" || readOnly == "" {
		var err error
		if recovering, readOnly, err = askServer(ctx, conn); err != nil {
			return err
		}
	}
	isStandby := recovering == "on"
	fits := false
	switch s {
	case ReadWrite:
		fits = !isStandby && readOnly != "on"
	case ReadOnly:
		fits = isStandby || readOnly == "on"
	case Primary:
		fits = !isStandby
	case Standby:
		fits = isStandby
	case AnySession, PreferStandby:
	}
	if !fits {
		return fmt.Errorf("%w: %s", errOtherSession, s)
	}
	return nil
}

func askServer(ctx context.Context, conn *pgconn.PgConn) (recovering, readOnly string, err error) {
	results, err := conn.Exec(ctx, "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END, "+
		"pg_catalog.current_setting('default_transaction_read_only')").ReadAll()
	if err != nil {
		return "", "", fmt.Errorf("pgproxy: asking for the server's kind: %w", err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 2 {
		return "", "", fmt.Errorf("%w: the server does not say what it is", errOtherSession)
	}
	row := results[0].Rows[0]
	return string(row[0]), string(row[1]), nil
}
