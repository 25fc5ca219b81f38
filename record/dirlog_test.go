package record

import (
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A full disk refuses entries before they are accepted: everything accepted is in
// the sealed log.
func TestFullDiskRefusesAndSeals(t *testing.T) {
	for _, mode := range []Mode{Buffered, Durable} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFaultDir(t, DirConfig{Mode: mode})
				defer d.shutDown(t)
				l, f := d.open(t, "s")
				f.set(func(f *faultFile) { f.space = 200 << 10 })
				accepted := uint64(0)
				var err error
				for err = l.Append(output(1000)); err == nil; err = l.Append(output(1000)) {
					accepted++
				}
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("Append: %v, want ENOSPC", err)
				}
				if err := l.Append(event("{}")); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("Append after a failure: %v", err)
				}
				if err := l.Close("disk full"); err != nil {
					t.Fatalf("Close: %v", err)
				}
				rep := d.verify(f)
				if rep.Err() != nil || rep.Reason != "disk full" || rep.Records < accepted+3 || accepted < 50 {
					t.Errorf("%d accepted: %v", accepted, rep)
				}
			})
		})
	}
}

// A write that fails half way is final; the seal goes where it stopped.
func TestWriteErrorIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		f.set(func(f *faultFile) { f.space, f.reserved = int64(len(f.data))+70, 0 })
		for range 3 {
			if err := l.Append(event(`{"a":1}`)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		for range 2 {
			if err := l.Append(event("{}")); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("Append: %v, want ENOSPC", err)
			}
		}
		f.set(func(f *faultFile) { f.space = -1 })
		if err := l.Close("failed"); err != nil {
			t.Fatal(err)
		}
		if rep := d.verify(f); rep.Err() != nil || rep.Records != 6 {
			t.Errorf("%v", rep)
		}
	})
}

func TestBrokenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{})
		l, f := d.open(t, "s")
		f.set(func(f *faultFile) { f.isClosed = true })
		_ = l.Append(event("{}"))
		time.Sleep(time.Second)
		if err := l.Append(event("{}")); err == nil {
			t.Error("Append to a closed file succeeded")
		}
		if err := l.Close("x"); err == nil {
			t.Error("Close of a log that can't be sealed succeeded")
		}
		if err := d.Close(); err != nil {
			t.Errorf("Dir.Close: %v", err)
		}
	})
}

// Storage that hangs makes Append fail once an entry has waited too long, and
// every entry that was accepted still comes into the log when it recovers.
func TestStallByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		hold := make(chan struct{})
		f.set(func(f *faultFile) { f.hold = hold })
		start, accepted := time.Now(), uint64(0)
		var err error
		for ; err == nil; accepted++ {
			within(t, 0, func() { err = l.Append(event("{}")) })
			time.Sleep(10 * time.Millisecond)
		}
		if limit := 5*time.Second + 100*time.Millisecond; !errors.Is(err, ErrStalled) || time.Since(start) > limit {
			t.Fatalf("after %v: %v, want ErrStalled", time.Since(start), err)
		}
		f.set(func(f *faultFile) { f.hold = nil })
		close(hold)
		synctest.Wait()
		if err := l.Append(event("{}")); !errors.Is(err, ErrStalled) {
			t.Errorf("Append after recovery: %v, want ErrStalled still", err)
		}
		if err := l.Close("stalled"); err != nil {
			t.Fatal(err)
		}
		if rep := d.verify(f); rep.Err() != nil || rep.Records < accepted-1+3 {
			t.Errorf("%d accepted: %v", accepted-1, rep)
		}
	})
}

// A full queue blocks Append for StallTimeout and no longer.
func TestStallByQueue(t *testing.T) {
	for _, mode := range []Mode{Buffered, Durable} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFaultDir(t, DirConfig{Mode: mode, ReserveBytes: 8 << 20, StallTimeout: 2 * time.Second})
				l, f := d.open(t, "s")
				hold := make(chan struct{})
				f.set(func(f *faultFile) { f.hold = hold })
				var err error
				within(t, 2*time.Second, func() {
					for err == nil {
						err = l.Append(output(64 << 10))
					}
				})
				if !errors.Is(err, ErrStalled) {
					t.Fatalf("Append: %v", err)
				}
				if q := peek(l, func() int64 { return l.end - l.written }); q > int64(d.cfg.QueueBytes) {
					t.Errorf("%d bytes queued", q)
				}
				within(t, 2*time.Second, func() { err = l.Close("x") })
				if !errors.Is(err, ErrStalled) {
					t.Errorf("Close: %v, want ErrStalled", err)
				}
				within(t, 2*time.Second, func() { err = d.Close() })
				if !errors.Is(err, ErrStalled) {
					t.Errorf("Dir.Close: %v, want ErrStalled", err)
				}
				close(hold)
				<-d.flusher.ended
				<-d.syncer.ended
			})
		})
	}
}

func TestDurableReturnsAfterSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{Mode: Durable})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		_, before := f.counts()
		if err := l.Append(event(`{"durable":1}`)); err != nil {
			t.Fatal(err)
		}
		if _, syncs := f.counts(); syncs == before || d.verify(f).Records != 3 {
			t.Errorf("%d syncs: %v", syncs-before, d.verify(f))
		}
		f.set(func(f *faultFile) { f.syncErr = errBroken })
		for range 2 {
			if err := l.Append(event("{}")); !errors.Is(err, errBroken) {
				t.Errorf("Append without a sync: %v", err)
			}
		}
		f.set(func(f *faultFile) { f.syncErr = nil })
		_ = l.Close("x")
	})
}

// Entries that wait while a sync runs share the next one.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{Mode: Durable})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		_, before := f.counts()
		hold := make(chan struct{})
		f.set(func(f *faultFile) { f.hold = hold })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := l.Append(event("{}")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		wg.Wait()
		if _, n := f.counts(); n > before+3 {
			t.Errorf("%d syncs for 50 entries at once", n-before)
		}
		_ = l.Close("x")
	})
}

func TestBestEffortRecordsLoss(t *testing.T) {
	faults := map[string]func(*faultFile){
		"write":   func(f *faultFile) { f.writeErr = errBroken },
		"reserve": func(f *faultFile) { f.space = 0 },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFaultDir(t, DirConfig{Mode: BestEffort})
				defer d.shutDown(t)
				l, f := d.open(t, "s")
				f.set(fault)
				const tried = 5000
				for range tried {
					within(t, 5*time.Second, func() {
						if err := l.Append(output(500)); err != nil {
							t.Fatalf("best-effort Append: %v", err)
						}
					})
				}
				f.set(func(f *faultFile) { f.writeErr, f.space = nil, -1 })
				time.Sleep(time.Second)
				synctest.Wait()
				if peek(l, func() uint64 { return l.loss.Entries }) != 0 {
					t.Error("the loss is not recorded although the storage works again")
				}
				if err := l.Append(event("{}")); err != nil {
					t.Fatal(err)
				}
				_ = l.Close("x")
				rep := d.verify(f)
				kept := countType(t, f.content(), TypeOutput)
				if rep.Err() != nil || rep.Lost == 0 || rep.Lost+kept != tried {
					t.Errorf("lost %d, kept %d of %d: %v", rep.Lost, kept, tried, rep)
				}
				if countType(t, f.content(), TypeEvent) != 1 {
					t.Error("entry after the recovery is missing")
				}
			})
		})
	}
}

// What a failed sync leaves in doubt is said in the log, or by Close where nothing
// comes behind it any more.
func TestBestEffortRecordsFailedSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{Mode: BestEffort, CheckpointInterval: time.Second})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		f.set(func(f *faultFile) { f.syncErr = errBroken })
		if err := l.Append(output(500)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		f.set(func(f *faultFile) { f.syncErr = nil })
		if err := l.Append(event("{}")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := l.Close("x"); err != nil {
			t.Error(err)
		}
		rep := d.verify(f)
		if rep.Err() != nil || rep.Lost != 0 || rep.Unsynced < 500 || !strings.Contains(rep.String(), "a sync failed") {
			t.Errorf("lost %d, unsynced %d: %v", rep.Lost, rep.Unsynced, rep)
		}

		l, f = d.open(t, "last")
		if err := l.Append(output(500)); err != nil {
			t.Fatal(err)
		}
		f.set(func(f *faultFile) { f.syncErr = errBroken })
		if err := l.Close("x"); !errors.Is(err, errBroken) {
			t.Errorf("Close says %v", err)
		}
	})
}

func TestBestEffortStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFaultDir(t, DirConfig{Mode: BestEffort, StallTimeout: time.Second})
		defer d.shutDown(t)
		l, f := d.open(t, "s")
		hold := make(chan struct{})
		f.set(func(f *faultFile) { f.hold = hold })
		const tried = 300
		within(t, time.Second, func() { // one wait, then none
			for range tried {
				if err := l.Append(output(64 << 10)); err != nil {
					t.Fatal(err)
				}
			}
		})
		f.set(func(f *faultFile) { f.hold = nil })
		close(hold)
		synctest.Wait()
		_ = l.Close("x")
		rep := d.verify(f)
		if kept := countType(t, f.content(), TypeOutput); rep.Err() != nil || rep.Lost+kept != tried || kept == 0 {
			t.Errorf("lost %d, kept %d: %v", rep.Lost, kept, rep)
		}
	})
}
