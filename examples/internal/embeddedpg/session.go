package embeddedpg

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// A session is one client's connection.
type session struct {
	server   *Server
	conn     net.Conn
	backend  *pgproto3.Backend
	engine   *engine
	types    *pgtype.Map
	settings *settings
	tx       transaction
	prepared map[string]*prepared
	portals  map[string]*portal
	// id and key are what a cancel request must name.
	id, key uint32

	mu     sync.Mutex
	cancel context.CancelFunc
}

// maxMessage bounds a client's message.
const maxMessage = 16 << 20

// serve carries a client from its first byte to its last.
func (s *session) serve(ctx context.Context) error {
	s.backend = pgproto3.NewBackend(s.conn, s.conn)
	s.backend.SetMaxBodyLen(maxMessage)
	ok, err := s.start(ctx)
	if err != nil || !ok {
		return err
	}
	for {
		message, err := s.backend.Receive()
		if err != nil {
			return err
		}
		if _, ok := message.(*pgproto3.Terminate); ok {
			return nil
		}
		if err := s.handle(ctx, message); err != nil {
			return err
		}
	}
}

// start goes through startup and authentication. It reports false for a
// connection that wanted nothing but to cancel.
func (s *session) start(ctx context.Context) (bool, error) {
	for {
		message, err := s.backend.ReceiveStartupMessage()
		if err != nil {
			return false, err
		}
		switch m := message.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := s.conn.Write([]byte{'N'}); err != nil {
				return false, err
			}
		case *pgproto3.CancelRequest:
			s.server.cancelStatement(m.ProcessID, m.SecretKey)
			return false, nil
		case *pgproto3.StartupMessage:
			return true, s.welcome(ctx, m)
		default:
			return false, fmt.Errorf("embeddedpg: unexpected %T", message)
		}
	}
}

func (s *session) welcome(ctx context.Context, m *pgproto3.StartupMessage) error {
	if err := s.authenticate(m.Parameters); err != nil {
		s.backend.Send(response(err, "FATAL"))
		return errors.Join(err, s.backend.Flush())
	}
	s.types = pgtype.NewMap()
	s.settings = newSettings()
	s.prepared, s.portals = map[string]*prepared{}, map[string]*portal{}
	for name, value := range m.Parameters {
		if name == "user" || name == "database" || name == "options" {
			continue
		}
		if err := s.settings.set(name, value); err != nil {
			s.backend.Send(response(err, "FATAL"))
			return errors.Join(err, s.backend.Flush())
		}
	}
	engine, err := openEngine(ctx, s.server.name, s.functions())
	if err != nil {
		return err
	}
	s.engine = engine
	s.settings.changed = nil
	for name := range reported() {
		s.settings.changed = append(s.settings.changed, name)
	}
	s.report()
	s.backend.Send(&pgproto3.BackendKeyData{ProcessID: s.id, SecretKey: binary.BigEndian.AppendUint32(nil, s.key)})
	return s.ready()
}

// authenticate asks for the password: in clear, for the server listens on
// loopback only.
func (s *session) authenticate(parameters map[string]string) error {
	if err := s.backend.SetAuthType(pgproto3.AuthTypeCleartextPassword); err != nil {
		return err
	}
	s.backend.Send(&pgproto3.AuthenticationCleartextPassword{})
	if err := s.backend.Flush(); err != nil {
		return err
	}
	message, err := s.backend.Receive()
	if err != nil {
		return err
	}
	password, ok := message.(*pgproto3.PasswordMessage)
	if !ok {
		return &problem{"08P01", "expected a password"}
	}
	cfg := &s.server.cfg
	same := subtle.ConstantTimeCompare([]byte(password.Password), []byte(cfg.Password))
	if same != 1 || parameters["user"] != cfg.User {
		return &problem{"28P01", "password authentication failed"}
	}
	if database := parameters["database"]; database != cfg.Database && database != "" {
		return &problem{"3D000", `database "` + database + `" does not exist`}
	}
	s.backend.Send(&pgproto3.AuthenticationOk{})
	return nil
}

// report tells the client of settings.
func (s *session) report() {
	for _, status := range s.settings.statuses() {
		s.backend.Send(status)
	}
}

func (s *session) ready() error {
	s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: s.tx.status()})
	return s.backend.Flush()
}

func (s *session) notice(code, message string) {
	s.backend.Send(&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: code, Message: message})
}

// cancellable returns a context that a cancel request ends.
func (s *session) cancellable(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = cancel
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cancel = nil
		cancel()
	}
}

// interrupt stops the statement that runs, if one does.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

func (s *session) handle(ctx context.Context, message pgproto3.FrontendMessage) error {
	switch m := message.(type) {
	case *pgproto3.Query:
		return s.query(ctx, m.String)
	case *pgproto3.Sync:
		return s.sync(ctx)
	case *pgproto3.Flush:
		return s.backend.Flush()
	default:
		return s.extended(ctx, message)
	}
}

// query carries out a simple Query: its statements are one transaction unless
// they say otherwise.
func (s *session) query(ctx context.Context, sql string) error {
	run, done := s.cancellable(ctx)
	err := s.batch(run, sql)
	done()
	if err != nil {
		s.backend.Send(response(err, "ERROR"))
		if err := s.spoil(ctx); err != nil {
			return err
		}
	}
	s.report()
	return s.ready()
}

func (s *session) batch(ctx context.Context, sql string) error {
	statements, err := parse(sql)
	if err != nil {
		return err
	}
	if len(statements) == 0 {
		s.backend.Send(&pgproto3.EmptyQueryResponse{})
	}
	for _, st := range statements {
		r, err := s.run(ctx, st, nil)
		if err != nil {
			return err
		}
		if r.columns != nil {
			s.backend.Send(rowDescription(r.columns, nil))
		}
		if err := s.send(r, nil, r.rows); err != nil {
			return err
		}
		s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(r.tag)})
	}
	return s.settle(ctx)
}

// flushEvery bounds how many rows are encoded before they are written.
const flushEvery = 256

func (s *session) send(r *result, formats []int16, rows [][]driverValue) error {
	for i, row := range rows {
		values := make([][]byte, len(row))
		for j, v := range row {
			var err error
			if values[j], err = encode(s.types, r.columns[j].typ, formatOf(formats, j), v); err != nil {
				return err
			}
		}
		s.backend.Send(&pgproto3.DataRow{Values: values})
		if i%flushEvery == flushEvery-1 {
			if err := s.backend.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}
