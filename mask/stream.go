package mask

import "github.com/headgate/gateway/mask/internal/scan"

// streamChunk is how much text a Stream gathers before it looks at it.
const streamChunk = 64 << 10

// A Stream replaces what rules look for in a text that comes in parts, as
// [Rules.Message] does in a whole one. What it finds is the same wherever the text
// is cut, but for what detectors of the host find in more than 16 KiB, or by a
// look further back than 3 KiB.
//
// A Stream holds back 16 KiB of text, in which something could begin that is not
// known yet, until Flush. Its memory is bounded, and its time linear in the text.
// A Stream must not be used concurrently; one of nil Rules lets nothing through.
type Stream struct {
	find  *detection
	deaf  bool // without rules
	chunk int
	// buf is what is held back, behind some text that has been handed on. What
	// begins before seen has been dealt with, and what is before shown written.
	buf         []byte
	seen, shown int
	last        scan.Span
}

// Stream begins a text.
func (r *Rules) Stream() *Stream {
	if r == nil {
		return &Stream{deaf: true}
	}
	return &Stream{find: r.message, chunk: streamChunk}
}

// Write takes the next part of the text and appends to dst what can be handed on.
// Part is not kept.
func (s *Stream) Write(dst, part []byte) []byte {
	switch {
	case s.deaf:
		return dst
	case s.find == nil:
		return append(dst, part...)
	}
	for len(part) > 0 {
		n := min(len(part), max(1, s.seen+s.chunk+scan.Ahead-len(s.buf)))
		s.buf = append(s.buf, part[:n]...)
		part = part[n:]
		if len(s.buf)-s.seen >= s.chunk+scan.Ahead {
			dst = s.look(dst, len(s.buf)-scan.Ahead)
		}
	}
	return dst
}

// Flush ends the text and appends the rest of it to dst. The next Write begins
// another.
func (s *Stream) Flush(dst []byte) []byte {
	if s.find == nil {
		return dst
	}
	dst = s.look(dst, len(s.buf))
	s.buf, s.seen, s.shown, s.last = s.buf[:0], 0, 0, scan.Span{}
	return dst
}

// look writes what is before limit, and the whole of what begins there.
func (s *Stream) look(dst []byte, limit int) []byte {
	spans, err := s.find.spans(nil, s.buf)
	if err != nil { // a detector of the host is broken: nothing of this is shown
		spans = []scan.Span{{Start: s.seen, End: limit, Kind: scan.Secret}}
	}
	fresh := spans[:0]
	for _, span := range spans {
		if span.Start >= s.seen && span.Start < limit {
			fresh = append(fresh, span)
		}
	}
	for _, span := range scan.Resolve(fresh, s.last) {
		dst = append(dst, s.buf[s.shown:span.Start]...)
		dst, err = s.find.replace(dst, s.buf[span.Start:span.End], span.Kind, Type{Kind: KindText})
		if err != nil {
			dst = append(dst, redacted...)
		}
		s.shown, s.last = span.End, span
	}
	if s.shown < limit {
		dst = append(dst, s.buf[s.shown:limit]...)
		s.shown = limit
	}
	s.seen = limit
	s.forget(limit - scan.Behind)
	return dst
}

// forget drops the first n bytes of the buffer.
func (s *Stream) forget(n int) {
	if n <= 0 {
		return
	}
	s.buf = append(s.buf[:0], s.buf[n:]...)
	s.seen -= n
	s.shown -= n
	s.last.Start -= n
	s.last.End -= n
}
