package pgproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/mask"
)

// A session is one authenticated client and its server connection. It is a state
// machine that does no I/O: fromClient and fromServer take bytes and say what to
// send; a driver moves the bytes. The two directions share the state under mu.
type session struct {
	proxy *Interceptor
	guard *intercept.Guard
	// replication is what the session was begun for.
	replication replicationMode

	mu    sync.Mutex
	moved sync.Cond // signalled whenever the server has answered something

	// toServer holds what has been judged and may be sent.
	toServer, spare []byte
	// batch numbers what lies between two Syncs or simple Queries; answered is
	// the last batch whose ReadyForQuery has come.
	batch, answered uint64
	// skipping says that a failing message was sent in place of a refused one:
	// the server skips to the next Sync, and so does the gateway.
	skipping bool
	// discarding says that the server has reported an error and skips to a Sync
	// that the client has not sent yet.
	discarding bool
	// oversize is how many bytes of a refused, over-long message are left to drop.
	oversize int
	// leaving says that the client has said goodbye and needs not be there for the
	// rest.
	leaving bool
	// status is the server's transaction status of the last ReadyForQuery.
	status byte

	queue queue
	// weight is the length of all messages in the queue: what was judged of them is
	// kept until they are answered.
	weight int
	names  names
	shelf  *shelf
	path   sessionPath
	// open says that messages have been sent since the last Sync or Query.
	open bool
	// refreshing collects the catalogue while it is being asked for.
	refreshing *collector
	// hasTurn says that the session has the turn to refresh the catalogue.
	hasTurn bool
	// catalogueChanged says that a statement that has been sent, of a transaction
	// that is still open, changes the catalogue.
	catalogueChanged bool

	// namesPending counts statements in the queue that change names in SQL.
	// naming counts the messages in the queue that change them by the protocol:
	// those of the open batch, and those of earlier ones.
	namesPending int
	// unseenPending counts statements in the queue that run code which could.
	unseenPending int
	naming        struct{ open, earlier int }
	// failed says that the open transaction has failed or was rolled back.
	failed bool

	copyIn copyIn
	// hiddenName is what the gateway calls a prepared statement of its own.
	hiddenName string

	outgoing outgoing
	// rewritten is room for a row that is changed.
	rewritten []byte
	// passing is how many bytes of a row are left to pass through unseen.
	passing int
	// row is a row that is being masked as it comes.
	row *partialRow
	// owed is what rows that have ended still take of what all sessions may hold.
	owed int64
	// results wait to be recorded behind the output that they belong to.
	results []finished
	// notices wait for the end of a message that is being passed through.
	notices []byte
	// masksSeen says that some verdict of this session had masks.
	masksSeen bool
	// unseenRan says that since the last ReadyForQuery code has been run that the
	// gateway can't see, while masked columns were in reach.
	unseenRan bool
	// stateLoose says that code has been sent which the gateway can't see, while masks
	// were in force: what it left in the session, it may have read.
	stateLoose bool
	// searched are the latest rules that look for something in text, nil for none.
	searched *mask.Rules
	// ended is why the session can't go on, fault what the client has to be told
	// of it.
	ended, fault error
	// cancelWait ends the wait for an approval; cancelUpstream passes a cancel
	// request on.
	cancelWait     context.CancelFunc
	cancelUpstream func(context.Context) error
	// limited counts the entries of the queue that have a limit. risky says that the
	// open batch may have something to commit. urgent says that something is to be
	// sent to the server though the client has sent nothing.
	limited       int
	risky, urgent bool
	limiter       limiter
	// dropping says that what passes is withheld.
	dropping bool
	// waitCancelled says that a cancel request has ended the wait for a verdict.
	waitCancelled bool
	// cancelling says that a cancel request is on its way to the server.
	cancelling bool
	// wake makes the driver look again at what the client's direction waits for.
	// It is called without mu.
	wake func()
	// analysed is the analysis of a long text, done outside of mu.
	analysed *analysed
}

// finished is a command whose end has been seen.
type finished struct {
	verdict intercept.Verdict
	outcome intercept.Outcome
}

// errEnded says that the client has said goodbye.
var errEnded = errors.New("pgproxy: client terminated")

func newSession(p *Interceptor, g *intercept.Guard, up *upstream, shelf *shelf) *session {
	s := &session{proxy: p, guard: g, status: up.status, shelf: shelf}
	s.moved.L = &s.mu
	s.names.limit = p.cfg.MaxNames
	s.batch = 1
	s.path.begin(up.parameters, shelf.newest.Load())
	return s
}

// noticeNow returns the notice that an approval is being waited for, recorded, if
// it can be released at once. In the middle of a row it is kept for later.
func (s *session) noticeNow(p approve.Pending) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	notice := appendPending(nil, p)
	if s.midRow() {
		s.notices = append(s.notices, notice...)
		return nil
	}
	if err := s.guard.Output(0, notice); err != nil {
		_ = s.fail(err) // the Guard has ended the session
		return nil
	}
	return notice
}

// attach tells the session of its driver.
func (s *session) attach(wake func(), up *upstream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := up.key
	s.wake, s.cancelUpstream = wake, key.cancel
}

// takeJudged returns what may be sent, good until the next call. A long buffer is not
// kept. The caller holds mu.
func (s *session) takeJudged() []byte {
	out := s.toServer
	s.toServer, s.spare = s.spare[:0], out
	if cap(out) > keptBuffer {
		s.spare = nil
	}
	return out
}

// takeUrgent reports whether something has to be sent though the client has sent
// nothing, and takes note that it will be.
func (s *session) takeUrgent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	urgent := s.urgent
	s.urgent = false
	return urgent
}

// stepClient is fromClient under mu. A panic becomes the session's error: a fault
// must not take the host program down.
func (s *session) stepClient(in []byte) (used int, w *wait, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.recovered(&err)
	return s.fromClient(in)
}

// stepServer is fromServer under mu.
func (s *session) stepServer(in []byte) (used int, release []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.recovered(&err)
	return s.fromServer(in)
}

func (s *session) recovered(err *error) {
	if r := recover(); r != nil {
		*err = s.fail(fmt.Errorf("pgproxy: panic: %v", r))
	}
}

// isTrusted reports whether a token may cross conn readably: it does not leave
// the machine, or the process.
func isTrusted(conn net.Conn) bool {
	switch a := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	default:
		return a != nil && a.Network() == "pipe"
	}
}
