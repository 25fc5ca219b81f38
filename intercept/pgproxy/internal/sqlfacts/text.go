package sqlfacts

import (
	"strconv"
	"strings"
)

func itoa(v int32) string { return strconv.Itoa(int(v)) }

func boolText(v bool) string {
	if v {
		return "true"
	}
	return "false"
}

// isTrue reads a boolean as the server's input function does: any unambiguous
// beginning of true, yes or on, or 1.
func isTrue(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "1", "on":
		return true
	case "":
		return false
	}
	return isPrefix(text, "true") || isPrefix(text, "yes")
}

// isFalse reads a boolean as isTrue does, for false, no, off and 0.
func isFalse(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "0", "of", "off":
		return true
	case "":
		return false
	}
	return isPrefix(text, "false") || isPrefix(text, "no")
}

func isPrefix(prefix, word string) bool { return strings.HasPrefix(word, prefix) }

// isTempSchema reports whether a schema holds temporary objects.
func isTempSchema(schema string) bool {
	return strings.HasPrefix(schema, "pg_temp")
}

func lower(s string) string { return strings.ToLower(s) }

func upper(s string) string { return strings.ToUpper(s) }
