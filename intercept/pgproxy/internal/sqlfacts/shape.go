package sqlfacts

// maxShape is the longest text that is given a shape, in bytes.
const maxShape = 2048

// maxDigits is the longest integer that is left out of a shape: the grammar
// takes all of them for the same token, as they fit 32 bits.
const maxDigits = 9

// shapeMark stands for an integer in a shape. It can't be in a text.
const shapeMark = 0

// shapeOf appends to buf the text of sql with a mark in place of each integer,
// or returns nil if sql has no integers or anything that could make it doubtful
// what is an integer: bytes outside of printable ASCII and plain white space,
// quotes, dollar signs, backslashes, comments, or digits that touch a letter, an
// underscore or a period.
func shapeOf(buf []byte, sql string) []byte {
	if len(sql) > maxShape {
		return nil
	}
	found := false
	for i := 0; i < len(sql); {
		switch class := byteClasses[sql[i]]; {
		case class == classDigit:
			end := digitsEnd(sql, i)
			if !standsAlone(sql, i, end) {
				return nil
			}
			buf = append(buf, shapeMark)
			found = true
			i = end
		case class == classWord:
			end := wordEnd(sql, i)
			buf = append(buf, sql[i:end]...)
			i = end
		case class == classBad, isComment(sql, i):
			return nil
		default:
			buf = append(buf, sql[i])
			i++
		}
	}
	if !found {
		return nil
	}
	return buf
}

// standsAlone reports whether the digits from start to end are an integer of
// which no grammar rule but that for integers can see the length.
func standsAlone(sql string, start, end int) bool {
	if end-start > maxDigits {
		return false
	}
	if start > 0 && sql[start-1] == '.' {
		return false
	}
	return end == len(sql) || sql[end] != '.' && byteClasses[sql[end]] != classWord
}

func isComment(sql string, i int) bool {
	if i+1 == len(sql) {
		return false
	}
	return sql[i] == '-' && sql[i+1] == '-' || sql[i] == '/' && sql[i+1] == '*'
}

func digitsEnd(sql string, i int) int {
	for i < len(sql) && byteClasses[sql[i]] == classDigit {
		i++
	}
	return i
}

// wordEnd returns where the word at i ends. Words may contain digits.
func wordEnd(sql string, i int) int {
	for i < len(sql) && (byteClasses[sql[i]] == classWord || byteClasses[sql[i]] == classDigit) {
		i++
	}
	return i
}

type byteClass uint8

const (
	classBad byteClass = iota
	classOther
	classDigit
	classWord
)

// byteClasses is never written.
var byteClasses = classifyBytes()

func classifyBytes() (classes [256]byteClass) {
	for c := range classes {
		switch {
		case c >= '0' && c <= '9':
			classes[c] = classDigit
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			classes[c] = classWord
		case c == '\'' || c == '"' || c == '$' || c == '\\' || c == '`':
			classes[c] = classBad
		case c >= ' ' && c <= '~' || c == '\n' || c == '\r' || c == '\t':
			classes[c] = classOther
		}
	}
	return classes
}
