package pgparse

// FirstParentheses returns what is between the first opening parenthesis of sql
// and the one that closes it, "" if there are none.
func FirstParentheses(sql string) string {
	l := lexer{text: sql}
	start, depth := 0, 0
	for t, ok := l.next(); ok; t, ok = l.next() {
		switch {
		case t.kind != tokenOther:
		case t.text == "(":
			if depth++; depth == 1 {
				start = l.pos
			}
		case t.text == ")":
			if depth--; depth == 0 {
				return sql[start : l.pos-1]
			}
		}
	}
	return ""
}
