// Package embeddedpg is a server in this process that speaks PostgreSQL's wire
// protocol over a SQLite database in memory, so that the examples run on a
// machine that has nothing but Go.
//
// It carries everyday statements: tables, indexes, queries, changes,
// transactions, prepared statements with portals, cancel requests. Results say
// which table and column they come from, and pg_catalog can be queried. It is a
// stand-in for demonstrations and tests: types follow SQLite, results are held in
// memory, and what it would read differently from PostgreSQL it refuses.
package embeddedpg

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Config is what a Server is made of. User, Password and Database are required.
type Config struct {
	// User and Password are the only login.
	User, Password string
	// Database is the only database.
	Database string
	// Script is SQL, in PostgreSQL's dialect, that fills the database.
	Script string
}

// A Server listens on a loopback port of its own. Its data goes when it is
// closed. It is safe for concurrent use.
type Server struct {
	cfg      Config
	name     string
	listener net.Listener
	keeper   *engine         // keeps the database in memory
	ctx      context.Context //nolint:containedctx // the server's life
	stop     context.CancelFunc
	serving  sync.WaitGroup

	mu       sync.Mutex
	sessions map[uint32]*session
	last     uint32
}

// Start starts a server. The caller closes it.
func Start(cfg Config) (*Server, error) {
	if cfg.User == "" || cfg.Password == "" || cfg.Database == "" {
		return nil, errors.New("embeddedpg: User, Password and Database are required")
	}
	s := &Server{cfg: cfg, name: "embeddedpg-" + hex.EncodeToString(random(8)), sessions: map[uint32]*session{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.fill(); err != nil {
		s.stop()
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.stop()
		return nil, errors.Join(fmt.Errorf("embeddedpg: %w", err), s.keeper.Close())
	}
	s.listener = listener
	s.serving.Go(s.accept)
	return s, nil
}

// Addr is where the server listens, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends all sessions, waits for them, and drops the data.
func (s *Server) Close() error {
	s.stop()
	err := s.listener.Close()
	s.mu.Lock()
	for _, session := range s.sessions {
		_ = session.conn.Close() // unblocks its reader
	}
	s.mu.Unlock()
	s.serving.Wait()
	return errors.Join(err, s.keeper.Close())
}

// fill makes the database.
func (s *Server) fill() error {
	setup := &session{server: s, settings: newSettings(), prepared: map[string]*prepared{}, portals: map[string]*portal{}}
	var err error
	if s.keeper, err = openEngine(s.ctx, s.name, setup.functions()); err != nil {
		return err
	}
	setup.engine = s.keeper
	err = s.keeper.createCatalogue(s.ctx, s.cfg.Database, s.cfg.User)
	if err == nil {
		err = setup.script(s.ctx, s.cfg.Script)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("embeddedpg: %w", err), s.keeper.Close())
	}
	return nil
}

// script runs statements that nobody waits for the results of.
func (s *session) script(ctx context.Context, sql string) error {
	statements, err := parse(sql)
	if err != nil {
		return err
	}
	for _, st := range statements {
		if _, err := s.run(ctx, st, nil); err != nil {
			return fmt.Errorf("%s: %w", st.sql, err)
		}
	}
	return s.settle(ctx)
}

// maxSessions bounds the clients served at a time.
const maxSessions = 256

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		session := s.admit(conn)
		if session == nil {
			_ = conn.Close() // too many, or closing
			continue
		}
		s.serving.Go(func() {
			defer s.forget(session)
			_ = session.serve(s.ctx) // the client has been told
		})
	}
}

// errTerminated ends a session that the client has ended.
var errTerminated = errors.New("embeddedpg: terminated")

func (s *Server) admit(conn net.Conn) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil || len(s.sessions) >= maxSessions {
		return nil
	}
	s.last++
	session := &session{server: s, conn: conn, id: s.last, key: binary.BigEndian.Uint32(random(4))}
	s.sessions[session.id] = session
	return session
}

func (s *Server) forget(session *session) {
	s.mu.Lock()
	delete(s.sessions, session.id)
	s.mu.Unlock()
	_ = session.conn.Close() // it may be closed
	if session.engine != nil {
		_ = session.engine.Close() // rolls back what was not committed
	}
}

// cancelStatement stops a session's statement if the key is right.
func (s *Server) cancelStatement(id uint32, key []byte) {
	s.mu.Lock()
	session := s.sessions[id]
	s.mu.Unlock()
	if session != nil && len(key) == 4 && binary.BigEndian.Uint32(key) == session.key {
		session.interrupt()
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand
	return b
}
