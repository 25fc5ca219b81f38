package copystream

import (
	"bytes"
	"encoding/binary"
)

// A Counter counts the rows in the data of COPY FROM, as a server tells them apart
// (CopyReadLine in its source), wherever the data is cut. Of data that the server
// does not take it may count any number. A nil Counter counts none.
//
// In csv a line of nothing but \. counts: whether it ends the data depends on the
// server's version.
type Counter struct {
	format        Format
	quote, escape byte
	// heading says that the first line has not ended, which holds names.
	heading bool
	// end is the byte that ends lines, 0 before the first has ended: after it CR and
	// LF together end one, or either alone. returned says that it has ended with a CR,
	// which the next byte may go with.
	end      byte
	returned bool
	// escaped says that the byte before was a backslash, or an escape in quotes;
	// quoted that there is no line's end before the closing quote.
	escaped, quoted bool
	// start is what the line begins with, length how long it is so far.
	start  [2]byte
	length int
	// over says that the data has ended.
	over   bool
	binary counterState
}

// counterState is where a Counter of the binary format is.
type counterState struct {
	part   part
	left   int // of what is skipped
	fields int
	fixed  []byte
}

// NewCounter counts rows written in a format. Only the format, quote, escape and
// header of c count.
func NewCounter(c Config) *Counter {
	n := &Counter{format: c.Format, quote: c.Quote, escape: c.Escape, heading: c.Header && c.Format != Binary}
	if n.escape == n.quote {
		n.escape = 0
	}
	return n
}

// Add returns how many rows end in data, which comes behind all before.
func (c *Counter) Add(data []byte) int64 {
	switch {
	case c == nil || c.over:
		return 0
	case c.format == Binary:
		return c.addBinary(data)
	}
	rows := int64(0)
	for len(data) > 0 && !c.over {
		if n := c.plain(data); n > 0 {
			data = data[n:]
			continue
		}
		if c.ends(data[0]) {
			rows += c.endLine()
		}
		data = data[1:]
	}
	return rows
}

// End returns how many rows end with the data.
func (c *Counter) End() int64 {
	if c == nil || c.over || c.format == Binary || c.length == 0 {
		return 0
	}
	return c.endLine()
}

// plain takes what of data is nothing but a part of a line, and returns its length.
func (c *Counter) plain(data []byte) int {
	if c.end == 0 || c.returned || c.escaped || c.length <= len(c.start) || c.format == CSV {
		return 0
	}
	n := bytes.IndexByte(data, c.end)
	if n < 0 {
		n = len(data)
	}
	if at := bytes.IndexByte(data[:n], '\\'); at >= 0 {
		n = at
	}
	c.length += n
	return n
}

// ends takes one byte and reports whether a line ends with it.
func (c *Counter) ends(b byte) bool {
	if c.returned {
		c.returned = false
		if b == '\n' {
			c.end = '\n'
			return false
		}
	}
	switch {
	case c.covers(b):
	case c.end == 0 && b == '\r':
		c.end, c.returned = '\r', true
		return true
	case c.end == 0 && b == '\n', b == c.end && b != 0:
		c.end = b
		return true
	case b == '\r':
		return false // the first half of a line's end
	}
	if c.length < len(c.start) {
		c.start[c.length] = b
	}
	c.length++
	return false
}

// covers reports whether b is behind a backslash or within quotes, so that it ends
// no line whatever it is.
func (c *Counter) covers(b byte) bool {
	if c.format == Text {
		covered := c.escaped
		c.escaped = !covered && b == '\\'
		return covered
	}
	if c.escape != 0 && c.quoted && b == c.escape {
		c.escaped = !c.escaped
	}
	if b == c.quote && !c.escaped {
		c.quoted = !c.quoted
	}
	if b != c.escape {
		c.escaped = false
	}
	return c.quoted
}

// endLine returns how many rows the line that has ended is.
func (c *Counter) endLine() int64 {
	heading, marker := c.heading, c.format == Text && c.length == 2 && string(c.start[:]) == `\.`
	c.heading, c.length = false, 0
	switch {
	case marker:
		c.over = true
		return 0
	case heading:
		return 0
	default:
		return 1
	}
}

// addBinary is Add for the binary format.
func (c *Counter) addBinary(data []byte) int64 {
	rows, b := int64(0), &c.binary
	for len(data) > 0 && !c.over {
		if b.left > 0 {
			n := min(b.left, len(data))
			b.left -= n
			data = data[n:]
			continue
		}
		n := min(b.size()-len(b.fixed), len(data))
		b.fixed = append(b.fixed, data[:n]...)
		data = data[n:]
		if len(b.fixed) == b.size() {
			rows += c.endNumber()
		}
	}
	return rows
}

// size is how long the number is that comes next, or the header.
func (b *counterState) size() int {
	switch b.part {
	case partHeader:
		return signatureSize
	case partCount:
		return 2
	default:
		return 4
	}
}

// endNumber works on a number that is complete. It returns how many rows begin.
func (c *Counter) endNumber() int64 {
	b := &c.binary
	fixed := b.fixed
	b.fixed = b.fixed[:0]
	switch b.part {
	case partHeader:
		b.left = int(binary.BigEndian.Uint32(fixed[signatureSize-4:]))
		b.part = partCount
		return 0
	case partCount:
		b.fields = int(int16(binary.BigEndian.Uint16(fixed)))
		if b.fields < 0 {
			c.over = true
			return 0
		}
		b.next()
		return 1
	default:
		b.left = max(0, int(int32(binary.BigEndian.Uint32(fixed))))
		b.fields--
		b.next()
		return 0
	}
}

// next says what comes behind the fields of a row, or before the next of them.
func (b *counterState) next() {
	if b.part = partLength; b.fields == 0 {
		b.part = partCount
	}
}

// IsTrailer reports whether a message of COPY TO in the binary format holds no row:
// nothing but the end, or that behind the header.
func IsTrailer(data []byte) bool {
	return string(data) == "\xff\xff" || len(data) == signatureSize+2 && string(data[:len(signature)]) == signature && string(data[signatureSize:]) == "\xff\xff"
}
