package pgproxy

import (
	"slices"
	"strings"

	"github.com/headgate/gateway/policy"
)

// tellsState reports whether a command reads what code can have left in the session as a
// text of its choice: settings that take any text, and the names of cursors and
// prepared statements.
func tellsState(effects []policy.Effect) bool {
	return slices.ContainsFunc(effects, func(e policy.Effect) bool {
		switch {
		case e.Verb != policy.VerbRead:
			return false
		case e.Kind == "setting":
			return settingTakesText(e.Name)
		default:
			return listsState(e.Name[strings.LastIndexByte(e.Name, '.')+1:])
		}
	})
}

// settingTakesText reports whether a setting may have been given any text. A name that
// is not known, or that stands for all, is taken for such a one.
func settingTakesText(name string) bool {
	return name == "" || strings.ContainsAny(name, ".*") || slices.ContainsFunc(
		[]string{"application_name", "TimeZone", "time zone", "search_path"}, func(s string) bool { return strings.EqualFold(s, name) })
}

// listsState reports whether a relation of the system lists what a session holds.
func listsState(relation string) bool {
	return relation == "pg_settings" || relation == "pg_cursors" || relation == "pg_prepared_statements"
}
