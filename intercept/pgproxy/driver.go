package pgproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/intercept"
)

// readBuffer is the size of the buffers that each direction reads into.
const readBuffer = 64 << 10

// A driver moves a session's bytes: one goroutine for each direction.
type driver struct {
	*session
	client, server net.Conn

	// writing guards client writes: answers, and notices from the other side. It is
	// taken before mu.
	writing sync.Mutex
	// sending guards server writes: what the client's direction has judged, and what
	// the other one has to say. It is taken before mu.
	sending sync.Mutex
	beside  sync.WaitGroup
	once    sync.Once
}

// drive runs the session, and closes both connections. It calls ended when the
// session has ended, with the reason or nil for an orderly end, and returns at
// once if a reactor carries the session, else after that.
func (s *session) drive(ctx context.Context, client net.Conn, up *upstream, ended func(error)) {
	if s.driveOnReactor(ctx, client, up, ended) {
		return
	}
	err := guarded(func() error { return s.driveHere(ctx, client, up) })
	_ = client.Close() // the peer may be gone already
	ended(err)
}

// driveHere runs the session on this goroutine, and another one.
func (s *session) driveHere(ctx context.Context, client net.Conn, up *upstream) (err error) {
	defer s.settleAccounts()
	d := &driver{session: s, client: client, server: up.conn}
	s.attach(d.resume, up)
	stop := context.AfterFunc(s.guard.Context(), d.interrupt)
	defer stop()
	stopHost := context.AfterFunc(ctx, d.interrupt)
	defer stopHost()
	answers := make(chan error, 1)
	go func() { answers <- d.pumpServer() }()
	err = d.pumpClient(ctx)
	d.close(err)
	ended := <-answers
	d.beside.Wait()
	return errors.Join(orderly(err), orderly(ended))
}

// guarded makes a panic an error: a session must not take the host program down.
func guarded(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pgproxy: panic: %T", r)
		}
	}()
	return run()
}

// settleAccounts records, at the end of a session, the commands whose end was not
// seen, and lets others trust the catalogue again.
func (s *session) settleAccounts() {
	s.stopLimiter()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalogueSettled()
	s.endTurn()
	s.endRow()
	s.giveBack()
	for i := range s.queue.size {
		s.finish(s.queue.at(i), intercept.Outcome{Status: "unknown"})
	}
	for _, f := range s.results {
		_ = s.guard.Result(f.verdict, f.outcome) // a record that fails has ended the session
	}
	s.results = nil
}

// orderly drops the errors that are the usual end of a connection.
func orderly(err error) error {
	if errors.Is(err, errEnded) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// pumpClient reads from the client, judges and forwards.
func (d *driver) pumpClient(ctx context.Context) error {
	buf := make([]byte, readBuffer)
	have := 0
	for {
		n, err := d.client.Read(buf[have:])
		have += n
		if n > 0 {
			var used int
			var stepErr error
			used, buf, have, stepErr = d.clientBytes(ctx, buf, have)
			if stepErr != nil {
				return stepErr
			}
			have = shift(buf, used, have)
			buf = resize(buf, have)
		}
		if err != nil {
			return err
		}
	}
}

// clientBytes works through what has been read, waiting where it must.
func (d *driver) clientBytes(ctx context.Context, buf []byte, have int) (int, []byte, int, error) {
	used := 0
	for {
		n, w, err := d.stepClient(buf[used:have])
		used += n
		if werr := d.sendJudged(); werr != nil {
			return used, buf, have, errors.Join(err, werr)
		}
		if err != nil || w == nil {
			return used, buf, have, err
		}
		if w.until != nil {
			buf, have, err = d.awaitServer(w, buf, used, have)
		} else {
			buf, have, err = d.await(ctx, w, buf, have)
		}
		if err != nil {
			return used, buf, have, err
		}
	}
}

// resume has whatever waits for the session look again, and sends what is urgent.
func (d *driver) resume() {
	d.moved.Broadcast()
	if d.takeUrgent() {
		_ = d.sendJudged() // a server that is gone is noticed by its reader
	}
}

// sendJudged sends what may be sent.
func (d *driver) sendJudged() error {
	d.sending.Lock()
	defer d.sending.Unlock()
	d.mu.Lock()
	out := d.takeJudged()
	d.mu.Unlock()
	if len(out) == 0 {
		return nil
	}
	_, err := d.server.Write(out)
	return err
}

// await waits for a verdict. While a human decides it goes on reading, so that a
// client that leaves is noticed and cancels the wait.
func (d *driver) await(ctx context.Context, w *wait, buf []byte, have int) ([]byte, int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	d.cancelWait = cancel
	d.mu.Unlock()
	watch := d.watchClient(cancel, buf, have)
	d.perform(ctx, w, watch.begin)
	return watch.end()
}

// awaitServer waits for answers. If they take their time it goes on reading, so that
// a client that leaves is noticed.
func (d *driver) awaitServer(w *wait, buf []byte, used, have int) ([]byte, int, error) {
	watch := d.watchClient(nil, buf, have)
	watch.cancel = func() { d.clientLeft(watch.buf[used:watch.have]) }
	watched := make(chan struct{})
	later := time.AfterFunc(watchAfter, func() {
		defer close(watched)
		_ = watch.read() // the next read tells again
	})
	d.mu.Lock()
	if d.leaving {
		d.limitGoodbye()
	}
	for !w.until() && d.ended == nil {
		d.moved.Wait()
	}
	err := d.ended
	d.mu.Unlock()
	if later.Stop() {
		return buf, have, err
	}
	_ = d.client.SetReadDeadline(time.Unix(1, 0)) // a connection that is gone is noticed by its next reader
	<-watched
	_ = d.client.SetReadDeadline(time.Time{})
	return watch.buf, watch.have, err
}

// watchAfter is how long the client's direction waits for the server before it looks
// whether the client is still there.
const watchAfter = 50 * time.Millisecond

// clientLeft ends the session unless the client has said goodbye, maybe in what has
// been read of it: then what it sent before is done first.
func (d *driver) clientLeft(read []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.leaving && !saysGoodbye(read) {
		_ = d.end(io.EOF)
	}
}

// limitGoodbye bounds how long a client that has said goodbye may take to read.
func (d *driver) limitGoodbye() {
	_ = d.client.SetWriteDeadline(time.Now().Add(d.proxy.cfg.GoodbyeTimeout)) // a connection that is gone is noticed by its reader
}

// release writes to the client in parts, of each of which a client that has said
// goodbye must read something in time. The caller holds writing.
func (d *driver) release(b []byte) error {
	for len(b) > 0 {
		d.mu.Lock()
		if d.leaving && d.fault == nil && d.guard.Context().Err() == nil {
			d.limitGoodbye()
		}
		d.mu.Unlock()
		n, err := d.client.Write(b[:min(readBuffer, len(b))])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// pumpServer reads from the server, records, masks and releases.
func (d *driver) pumpServer() error {
	err := d.relayServer()
	d.mu.Lock()
	_ = d.end(errors.Join(io.EOF, err))
	cancel := d.cancelWait
	d.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	d.close(err)
	return err
}

func (d *driver) relayServer() error {
	buf := make([]byte, readBuffer)
	have := 0
	for {
		n, err := d.server.Read(buf[have:])
		have += n
		if n > 0 {
			used, stepErr := d.serverBytes(buf[:have])
			if stepErr != nil {
				return stepErr
			}
			have = shift(buf, used, have)
			buf = resize(buf, have)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return net.ErrClosed // the session has ended: see abandonServer
		}
		if err != nil {
			return err
		}
	}
}

// serverBytes releases what of in may be released.
func (d *driver) serverBytes(in []byte) (int, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	used, release, err := d.stepServer(in)
	if d.takeUrgent() { // not here: the server may have to be read from before it can take more
		d.beside.Go(func() { _ = d.sendJudged() }) // a server that is gone is noticed by its reader
	}
	if err != nil || len(release) == 0 {
		return used, err
	}
	if err = d.release(release); err == nil {
		d.giveBack()
	}
	return used, err
}

// shift moves buf[used:have] to the front and returns its length. A message that
// comes in many parts is not moved with each of them.
func shift(buf []byte, used, have int) int {
	if used == 0 {
		return have
	}
	return copy(buf, buf[used:have])
}

// resize makes room for more than have bytes and gives a large buffer back when
// it is no longer needed.
func resize(buf []byte, have int) []byte {
	switch {
	case have == len(buf):
		next := make([]byte, 2*len(buf))
		copy(next, buf[:have])
		return next
	case len(buf) > readBuffer && have < readBuffer/2:
		next := make([]byte, readBuffer)
		copy(next, buf[:have])
		return next
	default:
		return buf
	}
}

// pending tells the client that a human is asked.
func (d *driver) pending(p approve.Pending) {
	d.writing.Lock()
	defer d.writing.Unlock()
	if notice := d.noticeNow(p); len(notice) > 0 {
		_, _ = d.client.Write(notice) // a client that is gone is noticed by its reader
	}
}

// interrupt ends the session from outside: it has expired, was revoked, or the
// gateway is being shut down.
func (d *driver) interrupt() {
	cause := context.Cause(d.guard.Context())
	if cause == nil {
		cause = context.Canceled // the host's context is done
	}
	_ = d.client.SetWriteDeadline(time.Now().Add(farewell)) // frees a writer that holds the locks
	d.mu.Lock()
	_ = d.fail(cause)
	d.mu.Unlock()
	d.close(cause)
}

// close ends both connections, with a last word to the client unless a write to
// it is under way. If the server is still at work it is told to stop.
func (d *driver) close(cause error) {
	d.once.Do(func() {
		d.mu.Lock()
		_ = d.end(errors.Join(io.EOF, cause))
		busy, word := d.queue.size > 0, d.lastWord()
		d.mu.Unlock()
		if errors.Is(cause, errEnded) { // what was answered may be on its way still
			d.limitGoodbye()
			d.writing.Lock()
			d.writing.Unlock() //nolint:staticcheck // to have waited is all
		}
		if len(word) > 0 && d.writing.TryLock() {
			_ = d.client.SetWriteDeadline(time.Now().Add(farewell))
			_, _ = d.client.Write(word) // the client may be gone
			d.writing.Unlock()
		}
		_ = d.client.Close()
		if busy {
			d.abandonServer()
		}
		_ = d.server.Close()
	})
}

// abandonServer has the server stop. The other direction may still read from it, and
// drops what comes as well.
func (d *driver) abandonServer() {
	server := d.server
	if over, ok := server.(*tls.Conn); ok {
		server = over.NetConn()
	}
	server = undetachable(server)
	if half, ok := server.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be gone
	}
	d.abandon(context.Background(), server)
}

func isEncrypted(conn net.Conn) bool {
	_, ok := conn.(*tls.Conn)
	return ok
}
