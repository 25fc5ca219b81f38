package intercept

// minLane is the length from which the parts of long data are worth searching at the
// same time.
const minLane = 256

// find calls found for each place in p where a needle stands, in no order. Its time
// is linear in p: at worst it looks at every end.
//
// Clean data spends its time waiting for one look-up after another, so long data is
// searched in four places at a time.
func (e *Echo) find(p []byte, found func(span)) {
	if e == nil || e.shift == nil {
		return
	}
	from := e.window - 1
	if lane := (len(p) - from) / 4; lane >= minLane {
		e.findInLanes(p, from, lane, found)
		return
	}
	e.findUpTo(p, from, len(p), found)
}

// findInLanes searches where a window ends behind from, in four lanes, of which the
// last may be a little longer.
func (e *Echo) findInLanes(p []byte, from, lane int, found func(span)) {
	i, j, k, l := from, from+lane, from+2*lane, from+3*lane
	p1, p2, p3 := p[:j], p[:k], p[:l]
	shift := e.shift
	for i > 0 && j > 0 && k > 0 && l > 0 && i < len(p1) && j < len(p2) && k < len(p3) && l < len(p) {
		a, b := shift[block(p1[i-1], p1[i])], shift[block(p2[j-1], p2[j])]
		c, d := shift[block(p3[k-1], p3[k])], shift[block(p[l-1], p[l])]
		if ((a-1)|(b-1)|(c-1)|(d-1))&0x80 != 0 { // one is zero
			a, b = e.meet(p, i, a, found), e.meet(p, j, b, found)
			c, d = e.meet(p, k, c, found), e.meet(p, l, d, found)
		}
		i, j, k, l = i+int(a), j+int(b), k+int(c), l+int(d)
	}
	e.findUpTo(p, i, len(p1), found)
	e.findUpTo(p, j, len(p2), found)
	e.findUpTo(p, k, len(p3), found)
	e.findUpTo(p, l, len(p), found)
}

// findUpTo searches where a window ends from i on and before end.
func (e *Echo) findUpTo(p []byte, i, end int, found func(span)) {
	shift, part := e.shift, p[:end]
	for i > 0 && i < len(part) {
		step := shift[block(part[i-1], part[i])]
		if step == 0 {
			step = e.meet(p, i, step, found)
		}
		i += int(step)
	}
}

// meet looks for needles in the window that ends at i, if step is zero: there may be
// some. It returns how far to move on.
func (e *Echo) meet(p []byte, i int, step uint8, found func(span)) uint8 {
	if step != 0 {
		return step
	}
	for _, n := range e.suspects(p, i) {
		if at, ok := e.needles[n].at(p, i-e.window+1); ok {
			found(at)
		}
	}
	return 1
}
