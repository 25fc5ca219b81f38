package embeddedpg

import (
	"slices"
)

// A statement is one SQL statement in both languages.
type statement struct {
	tokens []token
	// verb is the first keyword, "" for an empty statement.
	verb string
	// sql is what SQLite is given.
	sql string
	// params is the highest parameter number.
	params int
}

// parse splits a query string into statements and translates each.
func parse(sql string) ([]*statement, error) {
	tokens, err := lex(sql)
	if err != nil {
		return nil, err
	}
	var out []*statement
	for len(tokens) > 0 {
		end := slices.IndexFunc(tokens, func(t token) bool { return t.is(";") })
		if end < 0 {
			end = len(tokens)
		}
		if end > 0 {
			s, err := newStatement(tokens[:end])
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		tokens = tokens[min(end+1, len(tokens)):]
	}
	return out, nil
}

func newStatement(tokens []token) (*statement, error) {
	s := &statement{tokens: tokens}
	if tokens[0].kind == wordToken {
		s.verb = tokens[0].text
	}
	if tokens[0].is("(") {
		return nil, unsupported("a statement in parentheses")
	}
	if s.isSession() {
		return s, nil
	}
	if !s.isEngine() {
		if isKnownVerb(s.verb) {
			return nil, unsupported(tagOf(s.verb))
		}
		return nil, syntaxError(`syntax error at or near "` + tokens[0].text + `"`)
	}
	var err error
	s.sql, s.params, err = translate(tokens)
	return s, err
}

// isSession reports whether the session itself carries the statement out.
func (s *statement) isSession() bool {
	switch s.verb {
	case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release",
		"set", "reset", "show", "discard", "deallocate":
		return true
	default:
		return false
	}
}

// isEngine reports whether SQLite carries the statement out.
func (s *statement) isEngine() bool {
	switch s.verb {
	case "select", "with", "values", "insert", "update", "delete":
		return true
	case "create":
		return s.at(1).is("table") || s.at(1).is("index") || s.at(1).is("unique")
	case "drop":
		return s.at(1).is("table") || s.at(1).is("index")
	case "alter":
		return s.at(1).is("table")
	default:
		return false
	}
}

// at returns a token, the zero token beyond the end.
func (s *statement) at(i int) token {
	if i < len(s.tokens) {
		return s.tokens[i]
	}
	return token{}
}

// has reports whether a keyword stands anywhere in the statement.
func (s *statement) has(words ...string) bool {
	return slices.ContainsFunc(s.tokens, func(t token) bool {
		return t.kind == wordToken && slices.Contains(words, t.text)
	})
}

// changesSchema reports whether the catalogue may differ afterwards.
func (s *statement) changesSchema() bool {
	return s.verb == "create" || s.verb == "drop" || s.verb == "alter"
}

// isPure reports whether the statement can be run without any effect.
func (s *statement) isPure() bool {
	switch s.verb {
	case "select", "values", "with":
		return !s.has("insert", "update", "delete", "set_config", "pg_sleep")
	default:
		return false
	}
}

// merges reports whether results of several queries are combined: then no result
// column comes from one table's column.
func (s *statement) merges() bool { return s.has("union", "intersect", "except") }

// isKnownVerb reports whether PostgreSQL has a statement that begins so.
func isKnownVerb(word string) bool {
	return slices.Contains([]string{
		"alter", "analyze", "call", "checkpoint", "close", "cluster", "comment", "copy", "create", "declare", "do",
		"drop", "execute", "explain", "fetch", "grant", "import", "listen", "load", "lock", "merge", "move", "notify",
		"prepare", "reassign", "refresh", "reindex", "revoke", "security", "table", "truncate", "unlisten", "vacuum",
	}, word)
}
