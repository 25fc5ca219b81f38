package intercept

// An EchoStream redacts one stream of bytes that comes in pieces, as a terminal's
// output or an HTTP body does. It holds back only what could be the beginning of
// a secret's appearance, and never as much as Echo.Longest bytes. It is not safe
// for concurrent use.
type EchoStream struct {
	echo *Echo
	held []byte
	// covered is how many of the bytes held belong to an appearance that has been
	// found.
	covered int
}

// Stream returns an EchoStream that looks for what e looks for.
func (e *Echo) Stream() *EchoStream { return &EchoStream{echo: e} }

// Next takes the next piece and appends to dst what may be released. It does not
// keep p.
func (s *EchoStream) Next(dst, p []byte) []byte {
	s.held = append(s.held, p...)
	return s.release(dst, len(s.held)-s.echo.begun(s.held))
}

// Rest appends what is held: the stream has ended.
func (s *EchoStream) Rest(dst []byte) []byte { return s.release(dst, len(s.held)) }

// release moves the first n bytes held to dst.
func (s *EchoStream) release(dst []byte, n int) []byte {
	start, covered := len(dst), 0
	dst = append(dst, s.held[:n]...)
	out := dst[start:]
	blank := func(at span) {
		covered = max(covered, at.to-n)
		if at.from < n {
			s.echo.blank(out[at.from:min(at.to, n)])
		}
	}
	if s.covered > 0 {
		blank(span{0, s.covered})
	}
	s.echo.find(s.held, blank)
	s.held = append(s.held[:0], s.held[n:]...)
	s.covered = max(covered, 0)
	return dst
}

// begun returns how many bytes at the end of p could begin a needle that p does
// not hold to its end.
func (e *Echo) begun(p []byte) int {
	if e == nil || e.shift == nil {
		return 0
	}
	for i := max(0, len(p)-e.longest+1); i < len(p); i++ {
		if e.begins[p[i]] && e.mayBegin(p[i:]) {
			return len(p) - i
		}
	}
	return 0
}

// mayBegin reports whether a needle goes on behind the end of p.
func (e *Echo) mayBegin(p []byte) bool {
	for i := range e.needles {
		n := &e.needles[i]
		if n.wrapped && n.anchor > 0 {
			continue // there is one like it
		}
		at, k := n.along(p, 0, 0)
		// A single backslash may be half of an escaped line break.
		if k < len(n.text) && (at == len(p) || n.wrapped && at == len(p)-1 && p[at] == '\\') {
			return true
		}
	}
	return false
}
