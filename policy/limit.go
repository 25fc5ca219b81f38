package policy

import "cmp"

// Stricter returns the limit that keeps within both l and m: the smaller value
// of each field, where zero is unlimited.
func (l Limit) Stricter(m Limit) Limit {
	return Limit{
		Rows:              tighter(l.Rows, m.Rows),
		Bytes:             tighter(l.Bytes, m.Bytes),
		Timeout:           tighter(l.Timeout, m.Timeout),
		CommandsPerMinute: tighter(l.CommandsPerMinute, m.CommandsPerMinute),
	}
}

// tighter returns the smaller of two bounds, where zero means none.
func tighter[T cmp.Ordered](a, b T) T {
	var none T
	if a == none {
		return b
	}
	if b == none {
		return a
	}
	return min(a, b)
}
