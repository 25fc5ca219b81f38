package mask

import "bytes"

// maxJSONDepth bounds the nesting of documents that are looked into.
const maxJSONDepth = 1024

// jsonToken is what a jsonScanner has found.
type jsonToken uint8

const (
	jsonEnd       jsonToken = iota // the document is whole and nothing follows it
	jsonMalformed                  // it is no JSON, or nested too deeply
	jsonKey                        // a member's name, with its quotes
	jsonString                     // a string that is a value, with its quotes
	jsonNumber                     // a number, as it is written
	jsonTrue
	jsonFalse
	jsonNull
)

// A jsonScanner finds the names and scalar values of a JSON text (RFC 8259), one
// with each call of next, and checks the syntax of all that is between. It does
// not recurse or allocate, and looks at each byte once. To change values in
// place, copy what lies between the tokens as it is:
//
//	s, run := jsonScanner{text: b}, 0
//	for {
//		switch token, start, end := s.next(); token {
//		case jsonString:
//			// b[start:end] is the string with its quotes; appendJSONUnescaped
//			// reads what is between them, appendJSONString writes one.
//			dst = append(append(dst, b[run:start]...), …)
//			run = end
//		case jsonMalformed:
//			return nothing of it
//		case jsonEnd:
//			return append(dst, b[run:]...)
//		}
//	}
//
// What has been found before an error is good as far as it goes, but the text as a
// whole is not: nothing that was written so far may be used.
type jsonScanner struct {
	text []byte
	pos  int
	// depth is how many objects and arrays are open, objects a bit for each of
	// them: whether it is an object.
	depth   int
	objects [maxJSONDepth / 64]uint64
	state   jsonState
}

// jsonState says what may come next.
type jsonState uint8

const (
	wantValue       jsonState = iota // also the beginning
	wantValueOrEnd                   // after '['
	wantKey                          // after ',' in an object
	wantKeyOrEnd                     // after '{'
	wantCommaOrEnd                   // after a value
	nothingMore                      // after the outermost value
	jsonStateBroken                  // after an error
)

// next returns the next token and where it stands.
func (s *jsonScanner) next() (token jsonToken, start, end int) {
	for {
		for s.pos < len(s.text) && isJSONSpace(s.text[s.pos]) {
			s.pos++
		}
		if s.pos == len(s.text) {
			if s.state == nothingMore {
				return jsonEnd, s.pos, s.pos
			}
			return s.broken()
		}
		c := s.text[s.pos]
		switch s.state {
		case wantCommaOrEnd:
			if !s.separate(c) {
				return s.broken()
			}
			continue
		case wantKey, wantKeyOrEnd:
			if c == '}' && s.state == wantKeyOrEnd {
				s.close()
				continue
			}
			return s.key()
		case wantValue, wantValueOrEnd:
			switch {
			case c == ']' && s.state == wantValueOrEnd:
				s.close()
				continue
			case c == '{' || c == '[':
				if !s.open(c == '{') {
					return s.broken()
				}
				continue
			}
			return s.value(c)
		default:
			return s.broken()
		}
	}
}

func (s *jsonScanner) broken() (token jsonToken, start, end int) {
	s.state = jsonStateBroken
	return jsonMalformed, s.pos, s.pos
}

// open enters an object or array.
func (s *jsonScanner) open(object bool) bool {
	if s.depth == maxJSONDepth {
		return false
	}
	s.pos++
	word, bit := s.depth/64, uint64(1)<<(s.depth%64)
	s.depth++
	if object {
		s.objects[word] |= bit
		s.state = wantKeyOrEnd
		return true
	}
	s.objects[word] &^= bit
	s.state = wantValueOrEnd
	return true
}

func (s *jsonScanner) inObject() bool {
	i := s.depth - 1
	return s.objects[i/64]&(1<<(i%64)) != 0
}

// close leaves the innermost object or array.
func (s *jsonScanner) close() {
	s.pos++
	s.depth--
	s.afterValue()
}

func (s *jsonScanner) afterValue() {
	s.state = wantCommaOrEnd
	if s.depth == 0 {
		s.state = nothingMore
	}
}

// separate takes what stands behind a value of an object or array.
func (s *jsonScanner) separate(c byte) bool {
	object := s.inObject()
	switch {
	case c == ',' && object:
		s.state = wantKey
	case c == ',':
		s.state = wantValue
	case c == '}' && object, c == ']' && !object:
		s.close()
		return true
	default:
		return false
	}
	s.pos++
	return true
}

// key takes a name and the colon behind it.
func (s *jsonScanner) key() (token jsonToken, start, end int) {
	start, n := s.pos, jsonStringLength(s.text[s.pos:])
	if n < 0 {
		return s.broken()
	}
	end = start + n
	for s.pos = end; s.pos < len(s.text) && isJSONSpace(s.text[s.pos]); s.pos++ {
	}
	if s.pos == len(s.text) || s.text[s.pos] != ':' {
		return s.broken()
	}
	s.pos++
	s.state = wantValue
	return jsonKey, start, end
}

// value takes a scalar that begins with c.
func (s *jsonScanner) value(c byte) (token jsonToken, start, end int) {
	rest := s.text[s.pos:]
	var n int
	switch c {
	case '"':
		token, n = jsonString, jsonStringLength(rest)
	case 't':
		token, n = jsonTrue, literalLength(rest, "true")
	case 'f':
		token, n = jsonFalse, literalLength(rest, "false")
	case 'n':
		token, n = jsonNull, literalLength(rest, "null")
	default:
		token, n = jsonNumber, jsonNumberLength(rest)
	}
	if n < 0 {
		return s.broken()
	}
	start = s.pos
	s.pos += n
	s.afterValue()
	return token, start, s.pos
}

func isJSONSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func literalLength(b []byte, literal string) int {
	if !bytes.HasPrefix(b, []byte(literal)) {
		return -1
	}
	return len(literal)
}

// jsonStringLength returns the length of the string that b begins with, quotes
// included, -1 if there is none.
func jsonStringLength(b []byte) int {
	if b[0] != '"' {
		return -1
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			n := jsonEscapeLength(b[i:])
			if n < 0 {
				return -1
			}
			i += n - 1
		}
	}
	return -1
}

// jsonEscapeLength returns the length of the escape that b begins with.
func jsonEscapeLength(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && unhex4(b[2:6]) >= 0 {
			return 6
		}
	}
	return -1
}

// jsonNumberLength returns the length of the number that b begins with, -1 if
// there is none. What may stand behind it is the caller's to check.
func jsonNumberLength(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := digitsLength(b[i:])
	if whole == 0 || whole > 1 && b[i] == '0' {
		return -1
	}
	i += whole
	if i < len(b) && b[i] == '.' {
		n := digitsLength(b[i+1:])
		if n == 0 {
			return -1
		}
		i += 1 + n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n := digitsLength(b[i:])
		if n == 0 {
			return -1
		}
		i += n
	}
	return i
}

func digitsLength(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}
