//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Host is the address that servers listen on.
const Host = "127.0.0.1"

// A Config says how a server runs.
type Config struct {
	// Installation is required; see System, Embedded and Inspect.
	Installation Installation
	// User is the superuser's name and Password his password. Both are required.
	User, Password string
	// Settings are name=value pairs of postgresql.conf.
	Settings []string
	// TLS turns TLS on; nil leaves it off.
	TLS *TLS
	// HBA are the lines of pg_hba.conf. None means that every user logs in by
	// password (scram-sha-256), over TCP only with TLS if that is on.
	HBA []string
	// WALSegmentMB is the size of a WAL segment, a power of two. Zero means 1,
	// which makes small clusters.
	WALSegmentMB int
	// Backup is a directory with a base backup of a server of the same version and
	// superuser, of which the new one is a standby: it follows PrimaryConninfo. ""
	// means a new cluster.
	Backup, PrimaryConninfo string
}

// TLS holds a server's certificate and key and the CA of client certificates,
// each PEM encoded.
type TLS struct {
	Certificate, Key, ClientCA []byte
}

func (c Config) hba() []string {
	if len(c.HBA) > 0 {
		return c.HBA
	}
	kind := "host"
	if c.TLS != nil {
		kind = "hostssl"
	}
	return []string{"local all all scram-sha-256", "local replication all scram-sha-256", kind + " all all 127.0.0.1/32 scram-sha-256"}
}

// A Server is a running PostgreSQL. It is safe for concurrent use.
type Server struct {
	// Port is where the server listens on Host. It stays over a Restart.
	Port int
	// Dir holds the server's Unix socket.
	Dir string
	// LogFile gets everything that the server logs.
	LogFile string

	w   *Workspace
	bin string
	cfg Config

	mu      sync.Mutex
	process *process
}

// Start starts a server and returns when it takes connections.
func (w *Workspace) Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Installation.Bin == "" || cfg.User == "" || cfg.Password == "" {
		return nil, errors.New("pgserver: Installation, User and Password are required")
	}
	if cfg.WALSegmentMB == 0 {
		cfg.WALSegmentMB = 1
	}
	return w.launchServer(ctx, cfg, nil)
}

// launchServer makes the files of a server, from those of primary if that is not nil,
// and starts it on a free port.
func (w *Workspace) launchServer(ctx context.Context, cfg Config, primary *Server) (*Server, error) {
	s, err := w.place(ctx, cfg, primary)
	if err != nil {
		return nil, err
	}
	for range 5 { // somebody else may take the port between its choice and its use
		if s.Port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.start(ctx); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return s, w.adopt(s)
}

// place makes the files of a server.
func (w *Workspace) place(ctx context.Context, cfg Config, primary *Server) (*Server, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.New("pgserver: the workspace is closed")
	}
	bin, err := w.reach(ctx, cfg.Installation)
	if err != nil {
		return nil, err
	}
	dir, err := w.subdirectory()
	if err != nil {
		return nil, err
	}
	switch {
	case primary != nil:
		var following []string
		following, err = w.copyOf(ctx, primary, dir)
		cfg.Settings = append(slices.Clone(cfg.Settings), following...)
	case cfg.Backup != "":
		err = w.restore(ctx, &cfg, dir)
	default:
		err = w.cluster(ctx, clusterKey{bin, cfg.User, cfg.Password, cfg.WALSegmentMB}, dir)
	}
	if err != nil {
		return nil, err
	}
	return &Server{Dir: dir, LogFile: filepath.Join(dir, "log"), w: w, bin: bin, cfg: cfg}, w.configure(cfg, dir)
}

// adopt makes Close stop s.
func (w *Workspace) adopt(s *Server) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errors.Join(errors.New("pgserver: the workspace is closed"), s.Stop())
	}
	w.servers = append(w.servers, s)
	return nil
}

var errPortTaken = errors.New("pgserver: port taken")

func freePort() (int, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(Host)})
	if err != nil {
		return 0, fmt.Errorf("pgserver: no free port: %w", err)
	}
	addr, err := netip.ParseAddrPort(l.Addr().String())
	return int(addr.Port()), errors.Join(err, l.Close())
}

// start runs the server program and waits until it takes connections. Callers
// hold mu or are the only ones who know s.
func (s *Server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	defer log.Close() //nolint:errcheck // only the server writes to it
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	p, err := launch(s.command(log)) // the server outlives ctx
	if err != nil {
		return err
	}
	s.process = p
	if err := s.await(ctx); err != nil {
		return s.explain(from, errors.Join(err, s.stop()))
	}
	return nil
}

func (s *Server) command(log *os.File) *exec.Cmd {
	cmd := s.w.command(context.Background(), filepath.Join(s.bin, "postgres"),
		"-D", filepath.Join(s.Dir, "data"), "-p", strconv.Itoa(s.Port))
	cmd.Stdout, cmd.Stderr = log, log
	return cmd
}

// await returns when the server answers the superuser or has exited.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		c, err := pgconn.Connect(ctx, s.SocketURL("postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("pgserver: the server exited: %w", s.process.err)
		case <-ctx.Done():
			return fmt.Errorf("pgserver: the server doesn't answer: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// explain adds what the server logged since from to err.
func (s *Server) explain(from int64, err error) error {
	text, readErr := os.ReadFile(s.LogFile)
	if readErr != nil || int64(len(text)) < from {
		return err
	}
	logged := string(text[from:])
	if strings.Contains(logged, "Address already in use") {
		return fmt.Errorf("%w: %s", errPortTaken, logged)
	}
	return fmt.Errorf("%w: %s", err, logged)
}

// SocketURL returns a connection URL by the server's Unix socket for the
// superuser, with his password in it.
func (s *Server) SocketURL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(s.cfg.User, s.cfg.Password), Path: "/" + database}
	u.RawQuery = url.Values{"host": {s.Dir}, "port": {strconv.Itoa(s.Port)}, "sslmode": {"disable"}}.Encode()
	return u.String()
}

// PID returns the process id of the postmaster.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.cmd.Process.Pid
}

// Stop ends the server: sessions are broken, files are left in order. It may be
// called again.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop()
}

func (s *Server) stop() error {
	return s.process.stop(
		demand{syscall.SIGINT, 20 * time.Second}, // fast shutdown
		demand{syscall.SIGQUIT, 10 * time.Second},
		demand{syscall.SIGKILL, 10 * time.Second},
	)
}

// Restart stops the server if it runs and starts it again on the same port.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Exec runs SQL as the superuser.
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	c, err := pgconn.Connect(ctx, s.SocketURL(database))
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	_, err = c.Exec(ctx, sql).ReadAll()
	return errors.Join(err, c.Close(ctx))
}
