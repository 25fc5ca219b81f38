package intercept

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/headgate/gateway/credsource"
)

// An Echo finds what the gateway injected upstream, in clear and in the usual
// encodings, in bytes that come back. A Guard applies it to everything that it
// records; an interceptor whose output may be cut in the middle of a value uses
// Stream, or Redact over the cut, as well. The zero Echo finds nothing. An Echo
// is immutable and safe for concurrent use.
//
// It is a search for texts, so it finds neither a secret that the upstream has
// transformed in an unusual way (reversed, a character for each row) nor one of
// fewer than MinEchoed bytes, which would be found everywhere.
type Echo struct {
	needles []needle
	// shift says how far the search may move on, by the last two bytes of the
	// window; at zero, one of the needles in ends may be here: those whose window
	// ends with the last bytes of this one. Tells has a bit for each of these ends.
	shift  *[1 << echoBits]uint8
	tells  *[1 << tellBits / 64]uint64
	ends   map[uint64][]int32
	window int
	// longest is the longest stretch that a needle may take.
	longest int
	begins  [256]bool
	fill    byte
}

// MinEchoed is the length in bytes from which a secret is looked for.
const MinEchoed = 6

// A needle is one appearance of a secret. The search meets it by the window that
// begins at anchor.
type needle struct {
	text   []byte
	anchor int
	// wrapped says that line breaks may stand between its bytes.
	wrapped bool
}

const (
	echoBits = 12
	// tellBits leave hardly any chance that an end is taken for another.
	tellBits = 14
	// maxWindow bounds the window: beyond it the search does not get faster.
	maxWindow = 24
)

// newEcho returns an Echo for all secrets of the credentials.
func newEcho(creds []*credsource.Credential) *Echo {
	e := &Echo{}
	seen := map[string]bool{}
	for _, c := range creds {
		for _, n := range appearances(c) {
			key := string(n.text)
			if len(n.text) >= MinEchoed && !seen[key] {
				seen[key] = true
				e.needles = append(e.needles, n)
			}
		}
	}
	if len(e.needles) > 0 {
		e.prepare()
	}
	return e
}

// prepare builds the search: Wu and Manber's, with blocks of two bytes.
func (e *Echo) prepare() {
	e.window = maxWindow
	for i := range e.needles {
		e.window = min(e.window, e.needles[i].room())
		e.longest = max(e.longest, e.needles[i].reach())
		e.begins[e.needles[i].text[0]] = true
	}
	e.fill = e.unused("*#-_")
	for _, n := range e.needles { // a line break within one window leaves the next one whole
		if n.wrapped {
			n.anchor = e.window
			e.needles = append(e.needles, n)
		}
	}
	e.shift = new([1 << echoBits]uint8)
	for i := range e.shift {
		e.shift[i] = uint8(e.window - 1) //nolint:gosec // at most maxWindow
	}
	e.tells = new([1 << tellBits / 64]uint64)
	e.ends = make(map[uint64][]int32)
	for i := range e.needles {
		if n := &e.needles[i]; !n.wrapped {
			n.anchor = e.anchor(n.text)
		}
		n := e.needles[i]
		window := n.text[n.anchor : n.anchor+e.window]
		for at := 1; at < len(window); at++ {
			h := block(window[at-1], window[at])
			e.shift[h] = min(e.shift[h], uint8(len(window)-1-at)) //nolint:gosec // at most maxWindow
		}
		end := e.end(window, len(window)-1)
		e.ends[end] = append(e.ends[end], int32(i))
		bit := told(end)
		e.tells[bit/64] |= 1 << (bit % 64)
	}
}

// anchor returns where in a text the window is best: first of those that end in
// enough bytes that differ, as hardly anything but a secret does.
func (e *Echo) anchor(text []byte) int {
	const enough = 4
	best, most := 0, 0
	for at := 0; at+e.window <= len(text) && most < enough; at++ {
		if n := distinct(text[at+e.window-min(e.window, maxEnd) : at+e.window]); n > most {
			best, most = at, n
		}
	}
	return best
}

// distinct returns how many different bytes are in b.
func distinct(b []byte) int {
	n := 0
	for i, c := range b {
		if bytes.IndexByte(b[:i], c) < 0 {
			n++
		}
	}
	return n
}

// room is the longest window that the needle leaves room for.
func (n *needle) room() int {
	if n.wrapped {
		return len(n.text) / 2
	}
	return len(n.text)
}

// reach is the longest stretch of bytes that the needle may take.
func (n *needle) reach() int {
	if n.wrapped {
		return len(n.text) + maxBreak*(len(n.text)/minLine+2)
	}
	return len(n.text)
}

// A wrapped text has a break of at most maxBreak bytes (in JSON, CR and LF are
// four) in lines of at least minLine.
const (
	minLine  = 48
	maxBreak = 4
)

// unused returns the first of the candidates that no needle is made of.
func (e *Echo) unused(candidates string) byte {
	for i := range len(candidates) {
		if !slices.ContainsFunc(e.needles, func(n needle) bool { return bytes.IndexByte(n.text, candidates[i]) >= 0 }) {
			return candidates[i]
		}
	}
	return candidates[0]
}

func block(a, b byte) uint16 {
	return (uint16(a)<<4 ^ uint16(b)*5) % (1 << echoBits)
}

// maxEnd is how many bytes at the end of a window are compared before any needle
// is. Who doesn't know them of a secret can't make the search compare needles.
const maxEnd = 8

// end has the last bytes of the window that ends at i.
func (e *Echo) end(p []byte, i int) uint64 {
	first := i + 1 - min(e.window, maxEnd)
	return uint64(binary.LittleEndian.Uint32(p[first:])) | uint64(binary.LittleEndian.Uint32(p[i-3:]))<<32
}

// told is the bit of tells for an end.
func told(end uint64) uint64 { return end * 0x9e3779b97f4a7c15 >> (64 - tellBits) }

// suspects are the needles that may stand in the window that ends at i.
func (e *Echo) suspects(p []byte, i int) []int32 {
	end := e.end(p, i)
	if bit := told(end); e.tells[bit/64]>>(bit%64)&1 == 0 {
		return nil
	}
	return e.ends[end]
}

// span is where a needle was found.
type span struct{ from, to int }

// at reports whether the needle stands where its window begins at i.
func (n *needle) at(p []byte, i int) (span, bool) {
	if !n.wrapped {
		from, to := i-n.anchor, i-n.anchor+len(n.text)
		return span{from, to}, from >= 0 && to <= len(p) && bytes.Equal(p[from:to], n.text)
	}
	to, rest := n.along(p, i, n.anchor)
	from, ok := n.back(p, i)
	return span{from, to}, ok && rest == len(n.text) && to-from <= n.reach()
}

// along follows the needle from its k-th byte at p[i:], over breaks. It returns
// where it got to, in p and in the needle.
func (n *needle) along(p []byte, i, k int) (at, rest int) {
	for k < len(n.text) && i < len(p) {
		if p[i] == n.text[k] {
			i, k = i+1, k+1
			continue
		}
		b := breakAt(p[i:])
		if !n.wrapped || b == 0 || k == 0 {
			break
		}
		i += b
	}
	return i, k
}

// back follows the needle backwards from its anchor at p[i:].
func (n *needle) back(p []byte, i int) (int, bool) {
	for k := n.anchor; k > 0; {
		if i == 0 {
			return 0, false
		}
		if b := breakBefore(p[:i]); b > 0 { // first: an escaped break ends in a letter
			i -= b
			continue
		}
		if p[i-1] != n.text[k-1] {
			return 0, false
		}
		i, k = i-1, k-1
	}
	return i, true
}

// breakAt returns the length of the piece of a line break that p begins with:
// CR or LF, plain or escaped.
func breakAt(p []byte) int {
	switch {
	case p[0] == '\n' || p[0] == '\r':
		return 1
	case p[0] == '\\' && len(p) > 1 && (p[1] == 'n' || p[1] == 'r'):
		return 2
	default:
		return 0
	}
}

func breakBefore(p []byte) int {
	last := p[len(p)-1]
	switch {
	case last == '\n' || last == '\r':
		return 1
	case len(p) > 1 && p[len(p)-2] == '\\' && (last == 'n' || last == 'r'):
		return 2
	default:
		return 0
	}
}

// Redact overwrites, in place, every appearance of a secret in p with as many
// bytes that mean nothing, so that lengths stay. It reports whether it found any.
func (e *Echo) Redact(p []byte) bool {
	var found []span
	e.find(p, func(s span) { found = append(found, s) })
	for _, s := range found { // only now: needles may overlap
		e.blank(p[s.from:s.to])
	}
	return len(found) > 0
}

// Contains reports whether a secret appears in p.
func (e *Echo) Contains(p []byte) bool {
	found := false
	e.find(p, func(span) { found = true })
	return found
}

// Longest is the longest stretch of bytes that an appearance may take, 0 if there
// is nothing to look for. Who releases a long value in pieces must look at
// Longest()-1 bytes beyond each cut.
func (e *Echo) Longest() int {
	if e == nil {
		return 0
	}
	return e.longest
}

func (e *Echo) blank(p []byte) {
	for i := range p {
		p[i] = e.fill
	}
}

// redacted returns p, or a copy without the secrets in it.
func (e *Echo) redacted(p []byte) []byte {
	if !e.Contains(p) {
		return p
	}
	p = bytes.Clone(p)
	e.Redact(p)
	return p
}
