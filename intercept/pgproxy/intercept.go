package pgproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sort"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
)

var _ intercept.Asynchronous = (*Interceptor)(nil)

// Intercept serves one client: startup, authentication, then the session. It
// closes client, and the server connection that it made.
func (p *Interceptor) Intercept(ctx context.Context, client net.Conn, g *intercept.Guard) error {
	ended := make(chan error, 1)
	p.Begin(ctx, client, g, func(err error) { ended <- err })
	return <-ended
}

// Begin is as Intercept, but returns after the startup if the session needs no
// goroutine of its own. See intercept.Asynchronous.
func (p *Interceptor) Begin(ctx context.Context, client net.Conn, g *intercept.Guard, ended func(error)) {
	c := &connection{proxy: p, guard: g, conn: detachable(client)}
	up, err := c.open(ctx, client)
	if err != nil || up == nil {
		ended(err)
		return
	}
	pid := c.pid
	c.session.drive(ctx, c.conn, up, func(err error) {
		p.cancels.forget(pid)
		ended(err)
	})
}

// open is start, bounded by the life of the Guard. It closes the connection if
// there will be no session.
func (c *connection) open(ctx context.Context, client net.Conn) (up *upstream, err error) {
	defer func() {
		if up == nil {
			_ = c.conn.Close() // the peer may be gone already
		}
	}()
	stop := context.AfterFunc(c.guard.Context(), func() { abandon(client) })
	defer stop()
	c.guard.EnforcesLimits()
	return c.start(ctx)
}

// connection is a client before its session begins.
type connection struct {
	proxy   *Interceptor
	guard   *intercept.Guard
	conn    net.Conn
	startup *startup
	session *session
	pid     uint32
	// asked says that the client has been asked for a token.
	asked bool
}

// abandon ends a startup whose Guard has ended; there is time for a last word.
func abandon(client net.Conn) {
	_ = client.SetReadDeadline(time.Unix(1, 0))
	_ = client.SetWriteDeadline(time.Now().Add(farewell))
}

// start does everything until the client may send statements. It returns nil and
// no error for a cancel request.
func (c *connection) start(ctx context.Context) (*upstream, error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.proxy.cfg.StartupTimeout)); err != nil {
		return nil, err
	}
	refusal, err := c.greet(ctx)
	if err != nil {
		return nil, err
	}
	s := c.startup
	if s.cancel != nil {
		c.proxy.cancels.request(ctx, s.cancel)
		return nil, nil
	}
	version, negotiation := s.agreed()
	if _, err := c.conn.Write(negotiation); err != nil {
		return nil, err
	}
	runtime, badParameter := runtimeParameters(s, c.proxy.cfg.Database)
	if refusal == nil {
		refusal = badParameter
	}
	if refusal == nil {
		refusal = c.replicationParameters(runtime)
	}
	if err := c.identify(ctx); err != nil {
		return nil, err
	}
	if refusal != nil { // names the database: not for strangers
		return nil, c.refuse(c.startupRefused(refusal))
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return c.connect(ctx, version, runtime)
}

// greet reads the startup packet, unless a Switch has. The refusal is for after
// authentication: strangers are not told which databases there are.
func (c *connection) greet(ctx context.Context) (*intercept.Refusal, error) {
	g, ok := c.conn.(*greeted)
	if !ok {
		var err error
		c.conn, c.startup, err = greet(ctx, c.conn, c.proxy.cfg.TLS)
		return nil, err
	}
	c.conn, c.startup = g.Conn, g.startup
	if g.nowhere {
		return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "there is no such database here"}, nil
	}
	if g.named {
		delete(c.startup.parameters, "database") // it led here
	}
	return nil, nil
}

// refuse tells the client why there will be no session.
func (c *connection) refuse(r *intercept.Refusal) error {
	word := appendRefusal(nil, severityFatal, r)
	_ = c.guard.Output(0, word) // there may be no record, or none any more: r is still the client's to know
	_, err := c.conn.Write(word)
	return errors.Join(r, err)
}

// connect judges the connection, dials the server and tells the client that it
// may begin.
func (c *connection) connect(ctx context.Context, version uint32, runtime map[string]string) (*upstream, error) {
	var up *upstream
	var shelf *shelf
	told, err := c.propagate(runtime)
	if err != nil {
		return nil, errors.Join(err, c.refuse(&intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "the server can't be told who the session belongs to"}))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := &connectWatch{conn: c.conn, cancel: cancel}
	mode := c.startup.replication()
	verdict, err := c.guard.ConnectFor(ctx, c.replicates(), func(p approve.Pending) {
		c.waiting(p)
		watch.begin()
	}, func(ctx context.Context, cred *credsource.Credential) error {
		user := cred.Username + "\x00" + told.role // neither has a NUL
		var err error
		up, err = c.proxy.dialUpstream(ctx, cred, runtime, func(ctx context.Context, conn *pgconn.PgConn) error {
			if err := told.confirm(ctx, conn); err != nil {
				return err
			}
			shelf = c.proxy.catalogues.shelf(user, conn.Conn().RemoteAddr().String())
			if mode == replicationPhysical {
				return nil // there is no SQL, and no database that has a catalogue
			}
			return shelf.load(c.proxy.cfg.CatalogueMaxAge, c.proxy.analyzer.Analyze)(ctx, conn)
		})
		return err
	})
	c.conn = watch.end()
	if err != nil {
		if up != nil {
			_ = up.conn.Close() // err is what counts
		}
		return nil, errors.Join(err, c.refuse(&intercept.Refusal{Code: intercept.CodeUpstream, Reason: "the server could not be reached", Retryable: true}))
	}
	if !verdict.Forward {
		return nil, c.refuse(verdict.Refused())
	}
	for name, value := range up.parameters {
		if err := checkSetting(name, value); err != nil {
			return nil, errors.Join(err, up.conn.Close(), c.refuse(&intercept.Refusal{Code: intercept.CodeUpstream, Reason: "the server's settings can't be worked with"}))
		}
	}
	c.session = newSession(c.proxy, c.guard, up, shelf)
	c.session.replication = mode
	var key []byte
	c.pid, key = c.proxy.cancels.issue(version, up.key.pid, c.session.cancel)
	if err := c.welcome(up, key); err != nil {
		c.proxy.cancels.forget(c.pid)
		return nil, errors.Join(err, up.conn.Close())
	}
	return up, nil
}

// propagate adds to the startup parameters what the server is to be told of the
// client.
func (c *connection) propagate(runtime map[string]string) (told, error) {
	p, id := &c.proxy.cfg.Propagate, c.guard.Identity()
	told, err := p.tell(id)
	if err != nil {
		return told, err
	}
	told.parameters(runtime)
	if p.ApplicationName {
		runtime["application_name"] = applicationName(id.Subject)
	}
	return told, nil
}

// welcome ends the startup: from AuthenticationOk to ReadyForQuery.
func (c *connection) welcome(up *upstream, key []byte) error {
	b := appendMessage(nil, msgAuthentication, func(b []byte) []byte { return binary.BigEndian.AppendUint32(b, authOK) })
	names := make([]string, 0, len(up.parameters))
	for name := range up.parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		b = appendParameterStatus(b, name, up.parameters[name])
	}
	b = appendMessage(b, msgBackendKeyData, func(b []byte) []byte {
		return append(binary.BigEndian.AppendUint32(b, c.pid), key...)
	})
	b = appendReady(b, up.status)
	c.guard.Echo().Redact(b) // a setting may hold what the client has guessed
	_, err := c.conn.Write(b)
	return err
}

// waiting tells a client that a human is asked whether it may connect.
func (c *connection) waiting(p approve.Pending) {
	_, _ = c.conn.Write(appendPending(nil, p)) // a client that is gone is noticed by the watch
}

// appendPending appends the notice that an approval is being waited for.
func appendPending(b []byte, p approve.Pending) []byte {
	notice := problem{severity: severityNotice, code: "01000", message: "headgate: waiting for approval " + p.ID}
	if p.URL != "" {
		notice.detail = "It can be decided at " + p.URL
	}
	if !p.Expires.IsZero() {
		notice.hint = "The request expires at " + p.Expires.UTC().Format(time.RFC3339) + "."
	}
	return appendProblem(b, msgNotice, notice)
}

// load returns what runs on a fresh server connection before the session: the
// catalogue's queries, where they are due.
func (s *shelf) load(maxAge time.Duration, analyze analyzeFunc) func(context.Context, *pgconn.PgConn) error {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		done, err := s.turn(ctx, maxAge)
		if done == nil {
			return err
		}
		defer done()
		now, changes := time.Now(), s.begin()
		results, err := conn.Exec(ctx, joinQueries(catalogueQueries())).ReadAll()
		if err != nil {
			return fmt.Errorf("pgproxy: catalogue: %w", err)
		}
		answers := make([]table, len(results))
		for i, r := range results {
			for _, row := range r.Rows {
				texts := make([]string, len(row))
				for j, value := range row {
					texts[j] = string(value)
				}
				answers[i] = append(answers[i], texts)
			}
		}
		fresh, err := buildCatalogue(answers, now, analyze)
		if err == nil {
			s.put(fresh, changes)
		}
		return err
	}
}
