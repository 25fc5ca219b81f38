package scan

import "math/bits"

// A Window is a block of a text with the places of it at which something may be.
// They depend on a few bytes on both sides, so that windows overlap.
type Window struct {
	at      int    // where the block begins in the text
	numbers uint64 // places where digits begin that digits has to look at
	marks   uint64 // places of '@', ':' and '=' that mark has to look at
	words   uint64 // places where words of minRun begin
}

const (
	// lookBack and lookAhead are on how many bytes before and behind it depends
	// whether a place is looked at.
	lookBack  = 3
	lookAhead = minRun - 1
	// step is from one window to the next.
	step = block - lookBack - lookAhead
)

// Suspect returns the first Window of b at which something may be found, false if
// there is certainly nothing, of whatever kind. Nearly all texts with nothing are
// so, and to know it takes a fraction of a scan.
func Suspect(b []byte) (Window, bool) {
	if len(b) < shortest {
		return Window{}, false
	}
	return next(b, 0)
}

// next returns the first window from at on with any place to look at, false if
// there is none.
func next(b []byte, at int) (Window, bool) {
	here := ^uint64(0)
	if at > 0 {
		here &^= 1<<lookBack - 1
	}
	for len(b)-at > block {
		if w := look(b[at:at+block], here&(1<<(block-lookAhead)-1)); w.any() {
			w.at = at
			return w, true
		}
		at += step
		here &^= 1<<lookBack - 1
	}
	w := look(b[at:], here)
	w.at = at
	return w, w.any()
}

func (w Window) any() bool { return w.numbers|w.marks|w.words != 0 }

// look returns the window of a block, or of what is left of the text, with those
// places of here that are to be looked at.
func look(text []byte, here uint64) (w Window) {
	var c classes
	if wide {
		classifyAVX2(&c, &text[0], len(text))
	} else {
		c.classifyBytes(text)
	}
	w.words = c.words() & here
	if c.digits|c.ats|c.pairs == 0 {
		return w
	}
	w.marks = c.marks() & here
	w.numbers = c.numbers() & here
	return w
}

// words has the beginnings of words of minRun letters and digits.
func (c *classes) words() uint64 {
	one := c.digits | c.letters
	two := one & (one >> 1)
	four := two & (two >> 2)
	eight := four & (four >> 4)
	return eight & (eight >> 8) &^ (one << 1)
}

// marks has the '@', and the ':' and '=' but for those of a time like 10:11.
func (c *classes) marks() uint64 {
	d, word := c.digits, c.digits|c.letters
	clock := d << 1 & (d << 2) & (d >> 1) & (d >> 2) &^ (word << 3) &^ (word >> 3)
	return c.ats | c.pairs&^clock
}

// numbers has the beginnings of digits of which there are nine or more, or that
// stand beside something with which a number begins that is looked for.
func (c *classes) numbers() uint64 {
	d, word := c.digits, c.digits|c.letters
	begin := d &^ (d << 1)
	two := d & (d >> 1)
	four := two & (two >> 2)
	nine := four & (four >> 4) & (d >> 8)
	country := two & (word << 1) & (word << 2) &^ (word << 3)
	return begin & (nine | country | c.signs<<1 | c.groups(d, two, four))
}

// groups has where one to five digits begin that others follow, behind a mark: the
// n-th part is about n digits. Two, four and five are telephone numbers' only
// behind a zero, a date is none.
func (c *classes) groups(one, two, four uint64) uint64 {
	three := two & (one >> 2)
	parted := (c.joints | c.gaps) & (one >> 1)
	if parted|c.signs == 0 {
		return 0
	}
	few := parted>>1&(three>>2) |
		c.zeros&two&(parted>>2)&(one>>4) |
		three&(parted>>3)&(one>>5) | three&(c.signs>>3) |
		c.zeros&four&(one>>4)&(parted>>5)&(one>>7) |
		c.addresses(one, two, three)
	within := c.joints & (one << 1) << 1 // a date or a number
	return few&^within | four&(parted>>4)&(one>>6)&(c.zeros|one>>7)
}

// addresses has where digits begin before three dots with one to three digits
// between.
func (c *classes) addresses(one, two, three uint64) uint64 {
	dots := c.joints & (one << 1) & (one >> 1)
	dots &= dots>>2 | dots>>3 | dots>>4
	if dots == 0 {
		return 0
	}
	pairs := dots & (dots>>2 | dots>>3 | dots>>4)
	return one&(pairs>>1) | two&(pairs>>2) | three&(pairs>>3)
}

// places looks at all places of the windows from w on.
func (f *finder) places(w Window) {
	for more := true; more; w, more = next(f.b, w.at+step) {
		for m := w.numbers; m != 0 && !f.stop(); m &= m - 1 {
			f.number(w.at + bits.TrailingZeros64(m))
		}
		for m := w.marks; m != 0 && !f.stop(); m &= m - 1 {
			i := w.at + bits.TrailingZeros64(m)
			f.mark(i, f.b[i])
		}
		for m := w.words; m != 0 && !f.stop(); m &= m - 1 {
			f.word(w.at + bits.TrailingZeros64(m))
		}
		if f.stop() || len(f.b)-w.at <= block {
			return
		}
	}
}
