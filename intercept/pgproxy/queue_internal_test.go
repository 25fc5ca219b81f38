package pgproxy

import "testing"

// An empty queue holds no ring, and what it gives back has nothing in it.
func TestQueueHoldsNothingWhileItIsEmpty(t *testing.T) {
	var q queue
	for _, n := range []int{1, smallRing, 3 * smallRing, 2 * largeRing} {
		for i := range n {
			q.push(entry{kind: msgQuery, rows: int64(i)})
		}
		ring := q.ring
		for i := range n {
			if e := q.front(); e == nil || e.rows != int64(i) {
				t.Fatalf("%d of %d: %+v", i, n, e)
			}
			q.pop()
		}
		if q.ring != nil || q.lent != nil || q.size != 0 || q.front() != nil {
			t.Errorf("%d: a ring of %d entries is held", n, len(q.ring))
		}
		for i := range ring {
			if ring[i].kind != 0 || ring[i].rows != 0 {
				t.Fatalf("%d: entry %d was given back as it was", n, i)
			}
		}
	}
}
