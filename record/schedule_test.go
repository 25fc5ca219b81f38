package record

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func countType(tb testing.TB, log []byte, typ Type) (n uint64) {
	tb.Helper()
	r, err := NewReader(bytes.NewReader(log))
	if err != nil {
		tb.Fatal(err)
	}
	for {
		rec, err := r.Next()
		if err != nil {
			return n
		}
		if rec.Type == typ {
			n++
		}
	}
}

// Append wakes the flusher when a log starts to have something to write, and not
// again until it has been there.
func TestAppendWakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		_ = l.Append(event("{}"))
		synctest.Wait() // the flusher has set its tick
		before, _ := f.counts()
		for range 200 {
			if err := l.Append(output(100)); err != nil {
				t.Fatal(err)
			}
			if len(d.flusher.kick) != 0 || peek(l, func() bool { return l.urgent }) {
				t.Fatal("Append called the flusher")
			}
		}
		synctest.Wait()
		if n, _ := f.counts(); n != before {
			t.Error("something was written before the interval")
		}
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		written := peek(l, func() bool { return l.written == l.end })
		if n, _ := f.counts(); n != before+1 || !written {
			t.Errorf("%d writes for one interval, all written: %v", n-before, written)
		}
	})
}

func TestIdleFlusherSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		_ = l.Append(event("{}"))
		time.Sleep(time.Minute)
		synctest.Wait()
		d.flusher.mu.Lock()
		parked := d.flusher.parked
		d.flusher.mu.Unlock()
		if !parked || peek(l, func() bool { return l.buf != nil || l.active }) {
			t.Error("the flusher still ticks for an idle log, or the log holds a buffer")
		}
		rep := d.verify(f)
		if _, n := f.counts(); rep.Records != 4 || rep.VerifiedThrough != 3 || n != 1 {
			t.Errorf("%d syncs, want one for the checkpoint of an idle log: %v", n, rep)
		}
	})
}

func TestCheckpointEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{CheckpointRecords: 10, CheckpointBytes: 5000})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		for range 95 {
			_ = l.Append(event("{}"))
		}
		_ = l.Append(output(6000))
		_ = l.Close("x")
		if n := countType(t, f.content(), TypeCheckpoint); n != 11 {
			t.Errorf("%d checkpoints, want 1 + 9 + 1", n)
		}
	})
}

func TestOpenAfterClose(t *testing.T) {
	d := newFaultDir(t, DirConfig{})
	l, f := d.open(t, "s")
	_ = l.Append(event("{}"))
	d.shutDown(t)
	if rep := d.verify(f); rep.Err() != nil || rep.Reason != "recorder closed" {
		t.Errorf("%v", rep)
	}
	if _, err := d.Open(context.Background(), Header{Session: "t"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Open: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	d := newFaultDir(t, DirConfig{FlushInterval: time.Hour, StallTimeout: 2 * time.Hour, FlushBytes: 1 << 20, ReserveBytes: 4 << 20})
	defer d.shutDown(t)
	l, _ := d.open(t, "s")
	d.buffers.put(make([]byte, 0, chunkSize))
	l.lastSize = chunkSize
	e := output(100)
	_ = l.Append(e)
	if n := testing.AllocsPerRun(500, func() { _ = l.Append(e) }); n != 0 {
		t.Errorf("%v allocations per Append", n)
	}
}

// Of long answers 128 KiB are read and recorded at a time. Two such records share a
// buffer, so that a queue takes no more memory than QueueBytes says, and are written
// in one go.
func TestTwoLargeRecordsShareBuffer(t *testing.T) {
	d := newFaultDir(t, DirConfig{FlushInterval: time.Hour, StallTimeout: 2 * time.Hour, FlushBytes: 2 << 20, ReserveBytes: 4 << 20})
	defer d.shutDown(t)
	l, _ := d.open(t, "s")
	for range 8 {
		if err := l.Append(output(128 << 10)); err != nil {
			t.Fatal(err)
		}
	}
	if n := peek(l, func() int { return len(l.full) + 1 }); n != 4 {
		t.Errorf("8 records of 128 KiB are in %d buffers, want 4", n)
	}
}
