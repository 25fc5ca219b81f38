package approvetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headgate/gateway/approve"
)

// atOnce runs f n times together.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func (t *storeTest) redeemRace() {
	a := t.open("a", "s1", "x", approve.Added)
	for range 99 {
		t.open("j", "s1", "x", approve.Joined)
	}
	t.grant(a, approve.Scope{Uses: 37})
	var had atomic.Int64
	atOnce(100, func(int) {
		if _, err := t.store.Redeem(t.Context(), "a", t.now); err == nil {
			had.Add(1)
		} else if !errors.Is(err, approve.ErrUsedUp) {
			t.Errorf("Redeem: %v", err)
		}
	})
	if had.Load() != 37 {
		t.Errorf("%d calls had one of 37 uses", had.Load())
	}
}

func (t *storeTest) openRace() {
	a := t.open("a", "s1", "x", approve.Added)
	t.grant(a, approve.Scope{Uses: 38, For: time.Minute})
	t.redeem("a", nil)
	var count [4]atomic.Int64
	atOnce(100, func(i int) {
		_, opening, err := t.store.Open(t.Context(), ticket(t, fmt.Sprint("n", i), "s1", "x", t.now), wide)
		if err != nil {
			t.Errorf("Open: %v", err)
			return
		}
		count[opening].Add(1)
	})
	if r, j, n := count[approve.Redeemed].Load(), count[approve.Joined].Load(), count[approve.Added].Load(); r != 37 || n != 1 || j != 62 {
		t.Errorf("100 calls with 37 uses: %d redeemed, %d added, %d joined", r, n, j)
	}
}

// decideRace lets many approvers and a leaving call meet.
func (t *storeTest) decideRace() {
	a := t.open("a", "s1", "x", approve.Added)
	var decided atomic.Int64
	atOnce(20, func(i int) {
		if i == 10 {
			if err := t.store.Leave(t.Context(), "a", t.now); err != nil {
				t.Errorf("Leave: %v", err)
			}
			return
		}
		r := t.ruling(a, approve.Scope{})
		r.Granted = i%2 == 0
		_, err := t.store.Decide(t.Context(), "a", r)
		switch {
		case err == nil:
			decided.Add(1)
		case !errors.Is(err, approve.ErrDecided) && !errors.Is(err, approve.ErrWithdrawn):
			t.Errorf("Decide: %v", err)
		}
	})
	if decided.Load() > 1 {
		t.Errorf("one ticket was decided %d times", decided.Load())
	}
}

func (t *storeTest) limitsRace() {
	var in atomic.Int64
	atOnce(100, func(i int) {
		limits := approve.Limits{Total: 7, PerPrincipal: 100, PerSession: 100}
		_, _, err := t.store.Open(t.Context(), ticket(t, fmt.Sprint("n", i), "s1", strconv.Itoa(i%13), t.now), limits)
		if err == nil {
			in.Add(1)
		} else if !errors.Is(err, approve.ErrOverloaded) {
			t.Errorf("Open: %v", err)
		}
	})
	if in.Load() != 7 {
		t.Errorf("%d calls wait where 7 may", in.Load())
	}
}
