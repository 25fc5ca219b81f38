package pgparse

import "strings"

// maxCopies bounds how many tokens the tree may repeat. In
// UPDATE … SET (a, b) = (…) the tree holds the right side once per column, which
// multiplies when such statements are nested: a few hundred bytes could otherwise
// fill the memory.
const maxCopies = 100_000

// maxFactor keeps the product of column counts from overflowing.
const maxFactor = maxCopies + 1

// Depth returns a number of which the depth of the parse tree of sql is at most
// a small multiple, computed without parsing. It may be too high, never too low.
//
// Inside one pair of brackets each token could be an operator that puts one
// more level on the tree. A comma, AND and OR end such a chain: the grammar makes
// flat lists of their operands. Set operations, joins, BETWEEN and CASE nest
// across those borders, so they count until the bracket closes.
func Depth(sql string) int {
	depth, _ := measure(sql)
	return depth
}

// measure returns the Depth of sql and how many of its tokens are copies.
func measure(sql string) (depth, copies int) {
	s := depthScan{levels: append(make([]level, 0, 16), level{base: 1, factor: 1})}
	lex := lexer{text: sql}
	for {
		tok, ok := lex.next()
		if !ok {
			break
		}
		s.token(tok)
	}
	for len(s.levels) > 1 {
		s.closeBracket()
	}
	s.levels[0].endSegment()
	return max(s.deepest, s.levels[0].depth()), s.copies
}

// A level is the state inside one pair of brackets.
type level struct {
	chain  int // tokens since the last border
	inner  int // the deepest bracket since the last border
	deep   int // the deepest segment that has ended
	sticky int // levels that nest across borders

	commas int // so far
	base   int // how often the tree repeats the bracket
	factor int // how often it repeats what comes next
}

func (l *level) endSegment() {
	l.deep = max(l.deep, l.chain+l.inner)
	l.chain, l.inner = 0, 0
}

// stick makes what has been counted since the last border last until the
// bracket closes.
func (l *level) stick() {
	l.sticky += l.chain + 1
	l.deep = max(l.deep, l.inner)
	l.chain = 0
}

func (l *level) depth() int { return l.deep + l.sticky }

type depthScan struct {
	levels   []level
	deepest  int // the deepest statement that has ended
	afterDot bool
	closed   int // elements of the bracket that the last token closed, else 0
	copies   int
}

func (s *depthScan) token(t token) {
	top := &s.levels[len(s.levels)-1]
	afterDot := s.afterDot
	s.afterDot = t.kind == tokenOther && t.text == "."
	s.copies = min(s.copies+top.factor-1, maxFactor)
	elements := s.closed
	s.closed = 0
	switch {
	case t.kind == tokenWord && !afterDot:
		top.word(t.text)
	case t.kind != tokenOther:
		top.chain++
	default:
		s.mark(t.text, top, elements)
	}
}

func (s *depthScan) mark(text string, top *level, elements int) {
	switch text {
	case "(", "[":
		s.levels = append(s.levels, level{base: top.factor, factor: top.factor})
	case ")", "]":
		s.closeBracket()
	case ",":
		top.endSegment()
		top.commas++
		top.factor = top.base
	case ";":
		s.endStatement(top)
	case "=":
		top.chain++
		if elements > 1 {
			top.factor = min(top.base*elements, maxFactor)
		}
	default:
		top.chain++
	}
}

func (s *depthScan) endStatement(top *level) {
	top.endSegment()
	if len(s.levels) == 1 {
		s.deepest = max(s.deepest, top.depth())
		*top = level{base: 1, factor: 1}
	}
}

func (s *depthScan) closeBracket() {
	if len(s.levels) == 1 {
		return // unbalanced: the grammar refuses it
	}
	last := &s.levels[len(s.levels)-1]
	last.endSegment()
	d := last.depth() + 1
	s.closed = last.commas + 1
	s.levels = s.levels[:len(s.levels)-1]
	outer := &s.levels[len(s.levels)-1]
	outer.inner = max(outer.inner, d)
}

// word counts an unquoted word that may be a keyword.
func (l *level) word(text string) {
	switch {
	case strings.EqualFold(text, "and"), strings.EqualFold(text, "or"):
		l.endSegment()
	case strings.EqualFold(text, "case"), strings.EqualFold(text, "between"):
		l.stick()
	case strings.EqualFold(text, "union"), strings.EqualFold(text, "intersect"),
		strings.EqualFold(text, "except"), strings.EqualFold(text, "join"):
		l.endSegment()
		l.sticky++
	case strings.EqualFold(text, "where"), strings.EqualFold(text, "returning"):
		l.factor = l.base
		l.chain++
	default:
		l.chain++
	}
}
