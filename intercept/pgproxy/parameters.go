package pgproxy

import (
	"fmt"
	"strings"

	"github.com/headgate/gateway/intercept"
)

// passedParameters are the startup parameters that a client may set: they change
// how values are written and how long things may take, and neither how SQL is
// read nor who is asking. All others are refused, options, search_path and role
// among them (CVE-2025-12819).
func passedParameter(name string) bool {
	switch name {
	case "application_name", "datestyle", "intervalstyle", "timezone", "extra_float_digits", "geqo",
		"client_min_messages", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "bytea_output":
		return true
	default:
		return false
	}
}

// runtimeParameters returns what to set upstream, or why the startup packet is
// refused.
func runtimeParameters(s *startup, database string) (map[string]string, *intercept.Refusal) {
	out := map[string]string{"client_encoding": "UTF8"}
	for name, value := range s.parameters {
		lower := strings.ToLower(name)
		switch {
		case lower == "user":
		case lower == "database":
			if r := checkDatabase(value, s.parameters["user"], database); r != nil {
				return nil, r
			}
		case lower == "client_encoding":
			if !isUTF8(value) {
				return nil, unsupportedParameter(name, "only UTF8 is carried")
			}
		case lower == "options" && strings.TrimSpace(value) == "":
		case lower == "replication" && isFalse(value):
		case passedParameter(lower):
			out[lower] = value
		default:
			return nil, unsupportedParameter(name, "it is not on the list of startup parameters that pass")
		}
	}
	return out, nil
}

// checkDatabase compares the name that a client asks for with the route's. The
// server's default for a missing name is the user's name, so that counts as
// none.
func checkDatabase(asked, user, database string) *intercept.Refusal {
	if asked == "" || asked == user || asked == database {
		return nil
	}
	return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: fmt.Sprintf("this route leads to database %q only", database)}
}

func unsupportedParameter(name, why string) *intercept.Refusal {
	return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: fmt.Sprintf("startup parameter %q is refused: %s", name, why)}
}

// isUTF8 accepts the spellings of UTF8 that PostgreSQL accepts.
func isUTF8(encoding string) bool {
	folded := strings.NewReplacer("-", "", "_", "", "'", "", " ", "").Replace(strings.ToLower(encoding))
	return folded == "utf8" || folded == "unicode"
}

func isFalse(value string) bool {
	switch strings.ToLower(value) {
	case "false", "off", "no", "0", "f", "n":
		return true
	default:
		return false
	}
}
