package pgproxy

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/headgate/gateway/approve"
)

// A clientWatch goes on reading from the client while a human decides. What
// arrives is kept, up to the buffer's size; a client that leaves cancels.
type clientWatch struct {
	driver *driver
	cancel context.CancelFunc
	buf    []byte
	have   int
	done   chan error
}

func (d *driver) watchClient(cancel context.CancelFunc, buf []byte, have int) *clientWatch {
	return &clientWatch{driver: d, cancel: cancel, buf: buf, have: have}
}

// begin starts to watch and tells the client that it has to wait.
func (w *clientWatch) begin(p approve.Pending) {
	w.done = make(chan error, 1)
	go func() { w.done <- w.read() }()
	w.driver.pending(p)
}

func (w *clientWatch) read() error {
	for {
		if w.have == len(w.buf) {
			if w.have > w.driver.proxy.cfg.MaxMessageBytes {
				return nil // it may send more when its turn comes
			}
			w.buf = resize(w.buf, w.have)
		}
		n, err := w.driver.client.Read(w.buf[w.have:])
		w.have += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			w.cancel()
			return err
		}
	}
}

// end stops watching and returns the buffer with what came in.
func (w *clientWatch) end() ([]byte, int, error) {
	if w.done == nil {
		return w.buf, w.have, nil
	}
	_ = w.driver.client.SetReadDeadline(time.Unix(1, 0))
	err := <-w.done
	if err == nil {
		err = w.driver.client.SetReadDeadline(time.Time{})
	}
	return w.buf, w.have, err
}
