package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"testing"
	"time"
)

// Whoever has the signing key still can't pass off a log that breaks the rules.
func TestSignedButMalformed(t *testing.T) {
	s := newSigner(t)
	header := []byte(`{"session":"s"}`)
	for name, c := range map[string]struct {
		seq   uint64
		write func(w *encoder, b []byte) []byte
	}{
		"no header": {0, func(w *encoder, b []byte) []byte {
			return w.record(b, TypeEvent, 0, stamp{}, []byte("{}"))
		}},
		"second header": {1, func(w *encoder, b []byte) []byte {
			return w.record(w.record(b, TypeHeader, 0, stamp{}, header), TypeHeader, 0, stamp{}, header)
		}},
		"header not JSON": {0, func(w *encoder, b []byte) []byte {
			return w.record(b, TypeHeader, 0, stamp{}, []byte("{"))
		}},
		"loss not JSON": {1, func(w *encoder, b []byte) []byte {
			return w.record(w.record(b, TypeHeader, 0, stamp{}, header), TypeLoss, 0, stamp{}, []byte("x"))
		}},
		"short checkpoint": {1, func(w *encoder, b []byte) []byte {
			return w.record(w.record(b, TypeHeader, 0, stamp{}, header), TypeCheckpoint, 0, stamp{}, []byte("x"))
		}},
		"count of the seal": {1, func(w *encoder, b []byte) []byte {
			b = w.record(b, TypeHeader, 0, stamp{}, header)
			start := len(b)
			b = w.head(b, TypeSeal, 0, stamp{}, sealFieldsSize+signatureSize)
			return w.sign(binary.BigEndian.AppendUint64(b, 7), start)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			head := fileHead{keyID: KeyIDOf(s.pub)}.encode()
			w := encoder{chain: newChain(&head, nil), key: s.key}
			log := w.seal(c.write(&w, head[:]), stamp{}, "done")
			rep := Verify(bytes.NewReader(log), Keys{Public: []ed25519.PublicKey{s.pub}})
			wantProblem(t, rep, ProblemMalformed, c.seq)
		})
	}
}

// A waiter that was woken while its time ran out does not wait again.
func TestWaiterRunsOut(t *testing.T) {
	d := newFaultDir(t, DirConfig{})
	defer d.shutDown(t)
	l, _ := d.open(t, "s")
	for range 50 {
		l.mu.Lock()
		w := d.waiter(time.Nanosecond)
		for l.wait(w) {
			l.wake()
		}
		if len(l.waiters) != 0 {
			t.Error("a waiter is left behind")
		}
		l.mu.Unlock()
		d.free(w)
	}
}

func TestLossOfAnyTime(t *testing.T) {
	var l Loss
	l.add(time.Date(123456, 1, 1, 0, 0, 0, 0, time.UTC), 5, "failed")
	if got := string(l.encode()); got != `{"entries":1,"bytes":5,"cause":"failed"}` {
		t.Error(got)
	}
	l = Loss{}
	l.add(time.Now(), 5, "stalled")
	if n := len(l.encode()); n > lossSize {
		t.Errorf("%d bytes", n)
	}
}
