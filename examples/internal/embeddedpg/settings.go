package embeddedpg

import (
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// serverVersion is the PostgreSQL version whose protocol and names are imitated.
const serverVersion = "17.0"

// searchPath is the setting that can change for a transaction and no longer. Names
// are looked up in public and in pg_catalog, whatever it says.
const searchPath = "search_path"

// settings are a session's run-time parameters.
type settings struct {
	values   map[string]string
	original map[string]string
	// changed are the reported settings that the client has to be told of.
	changed []string
}

func newSettings() *settings {
	values := map[string]string{
		"application_name":                    "",
		"bytea_output":                        "hex",
		"client_encoding":                     "UTF8",
		"client_min_messages":                 "notice",
		"datestyle":                           "ISO, MDY",
		"default_transaction_isolation":       "serializable",
		"default_transaction_read_only":       "off",
		"extra_float_digits":                  "1",
		"geqo":                                "on",
		"idle_in_transaction_session_timeout": "0",
		"in_hot_standby":                      "off",
		"integer_datetimes":                   "on",
		"intervalstyle":                       "postgres",
		"is_superuser":                        "off",
		"lock_timeout":                        "0",
		"max_identifier_length":               "63",
		"search_path":                         `"$user", public`,
		"server_encoding":                     "UTF8",
		"server_version":                      serverVersion,
		"server_version_num":                  "170000",
		"standard_conforming_strings":         "on",
		"statement_timeout":                   "0",
		"timezone":                            "UTC",
		"transaction_isolation":               "serializable",
		"transaction_read_only":               "off",
	}
	return &settings{values: values, original: maps.Clone(values)}
}

// reported are the settings that clients are told of (manual, "Asynchronous
// Operations"), under the names that clients expect.
func reported() map[string]string {
	return map[string]string{
		"application_name": "application_name", "client_encoding": "client_encoding", "datestyle": "DateStyle",
		"default_transaction_read_only": "default_transaction_read_only", "in_hot_standby": "in_hot_standby",
		"integer_datetimes": "integer_datetimes", "intervalstyle": "IntervalStyle", "is_superuser": "is_superuser",
		"server_encoding": "server_encoding", "server_version": "server_version",
		"standard_conforming_strings": "standard_conforming_strings", "timezone": "TimeZone",
	}
}

func (s *settings) get(name string) (string, error) {
	v, ok := s.values[foldCase(name)]
	if !ok {
		return "", &problem{"42704", `unrecognized configuration parameter "` + name + `"`}
	}
	return v, nil
}

// set changes a setting. Those that this server acts by can't be changed.
func (s *settings) set(name, value string) error {
	name = foldCase(name)
	old, err := s.get(name)
	if err != nil {
		return err
	}
	if isFixed(name) && !sameSetting(old, value) {
		return &problem{"0A000", `the embedded server can't change "` + name + `"`}
	}
	if isFixed(name) || old == value {
		return nil
	}
	s.values[name] = value
	s.changed = append(s.changed, name)
	return nil
}

// setLocalPath changes search_path until the transaction ends.
func (s *settings) setLocalPath(value string) { s.values[searchPath] = value }

// endTransaction undoes what was changed for a transaction.
func (s *settings) endTransaction() { s.values[searchPath] = s.original[searchPath] }

func (s *settings) reset() {
	for _, name := range slices.Sorted(maps.Keys(s.original)) {
		if s.values[name] != s.original[name] {
			s.values[name] = s.original[name]
			s.changed = append(s.changed, name)
		}
	}
}

// isFixed reports whether the server always works as if the setting had its
// value.
func isFixed(name string) bool {
	switch name {
	case "application_name", "client_min_messages", "extra_float_digits", "geqo", "idle_in_transaction_session_timeout",
		"lock_timeout", "statement_timeout":
		return false
	default:
		return true
	}
}

// sameSetting compares values of a setting, whatever their spelling.
func sameSetting(a, b string) bool {
	fold := func(s string) string {
		return strings.NewReplacer("-", "", " ", "", `"`, "", "'", "", "mdy", "", ",", "").Replace(foldCase(s))
	}
	return fold(a) == fold(b)
}

// statuses returns what the client has to be told of settings.
func (s *settings) statuses() []*pgproto3.ParameterStatus {
	var out []*pgproto3.ParameterStatus
	for _, name := range s.changed {
		if shown, ok := reported()[name]; ok {
			out = append(out, &pgproto3.ParameterStatus{Name: shown, Value: s.values[name]})
		}
	}
	s.changed = nil
	return out
}

// change carries out SET, RESET and DISCARD.
func (s *session) change(st *statement) (string, error) {
	switch st.verb {
	case "discard":
		s.settings.reset()
		if st.at(1).is("all") {
			if s.tx != outside && s.tx != implicit {
				return "", &problem{"25001", "DISCARD ALL cannot run inside a transaction block"}
			}
			clear(s.prepared)
		}
		return "DISCARD " + strings.ToUpper(st.at(1).text), nil
	case "reset":
		if st.at(1).is("all") {
			s.settings.reset()
			return "RESET", nil
		}
		original, ok := s.settings.original[st.at(1).text]
		if !ok {
			return "", &problem{"42704", `unrecognized configuration parameter "` + st.at(1).text + `"`}
		}
		return "RESET", s.settings.set(st.at(1).text, original)
	default:
		return "SET", s.assign(st.tokens[1:])
	}
}

// assign carries out SET [SESSION | LOCAL] name {TO | =} value. What SQLite's
// transactions are in any case may be asked for.
func (s *session) assign(tokens []token) error {
	if len(tokens) > 0 && (tokens[0].is("session") || tokens[0].is("local")) {
		tokens = tokens[1:]
	}
	if len(tokens) > 0 && (tokens[0].is("transaction") || tokens[0].is("characteristics")) {
		return nil
	}
	if len(tokens) >= 3 && tokens[0].is("time") && tokens[1].is("zone") {
		return s.settings.set("timezone", tokens[2].text)
	}
	if len(tokens) < 3 || !tokens[0].isName() || !tokens[1].is("to") && !tokens[1].is("=") {
		return syntaxError("syntax error in SET")
	}
	if tokens[2].is("default") {
		return s.settings.set(tokens[0].text, s.settings.original[tokens[0].text])
	}
	var value strings.Builder
	for _, t := range tokens[2:] {
		value.WriteString(t.text)
	}
	return s.settings.set(tokens[0].text, value.String())
}
