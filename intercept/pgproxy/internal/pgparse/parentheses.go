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

// StatementAt returns the i-th of n statements that sql consists of, "" if there
// are not as many: what is between two semicolons outside of parentheses. It must not
// stand behind one that has others inside, as a function's body can be.
func StatementAt(sql string, i, n int) string {
	if n == 1 {
		return sql
	}
	l := lexer{text: sql}
	found, count, start, depth, empty := "", 0, 0, 0, true
	end := func(at int) {
		if !empty {
			if count == i {
				found = sql[start:at]
			}
			count++
		}
		start, empty = l.pos, true
	}
	for t, ok := l.next(); ok; t, ok = l.next() {
		switch {
		case t.kind == tokenOther && t.text == "(":
			depth++
		case t.kind == tokenOther && t.text == ")":
			depth--
		case t.kind == tokenOther && t.text == ";" && depth == 0:
			end(l.pos - 1)
			continue
		}
		empty = false
	}
	end(len(sql))
	if count != n {
		return ""
	}
	return found
}
