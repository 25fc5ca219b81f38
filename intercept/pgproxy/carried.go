package pgproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// uncarried says why a statement is not carried whatever the policy, nil if it
// is: COPY in another encoding or by EXECUTE, and changes to settings under which
// the server would read SQL, resolve names or see the session's identity in another
// way. A write to pg_settings is such a change.
func (t *traced) uncarried(c *catalogue) *intercept.Refusal {
	if t.writes() && slices.ContainsFunc(t.touches, isSettings) {
		return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "writing to pg_settings is not carried", Hint: "use SET"}
	}
	if t.rows != nil && t.rows != t && t.rows.statement.Copy != sqlfacts.CopyNone {
		return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "EXECUTE of a COPY is not carried", Hint: "send the COPY itself"}
	}
	return c.uncarried(t.statement)
}

func isSettings(r *relation) bool { return r.schema == "pg_catalog" && r.name == "pg_settings" }

func (c *catalogue) uncarried(s *sqlfacts.Statement) *intercept.Refusal {
	if s.Copy != sqlfacts.CopyNone && s.CopyOptions.Encoding != "" && !isUTF8(s.CopyOptions.Encoding) {
		return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "COPY in another encoding than UTF8 is not carried"}
	}
	for _, setting := range s.Settings {
		if setting.Computed || setting.Listed && (c.hidesSettings || c.exposed) {
			return computedSetting()
		}
		if !mayChange(setting) || setting.Name == "search_path" && setting.Scope == "" && keepsExpressions(s) {
			return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: fmt.Sprintf("changing %q is not carried", setting.Name)}
		}
	}
	if s.Inner != nil {
		return c.uncarried(s.Inner)
	}
	return nil
}

// keepsExpressions reports whether a statement keeps what is computed later, without
// a call that the gateway could see: in a view, a default or a condition.
func keepsExpressions(s *sqlfacts.Statement) bool {
	switch s.Tag {
	case "CREATE TABLE AS", "CREATE FUNCTION", "CREATE PROCEDURE":
		return false
	default:
		return strings.HasPrefix(s.Tag, "CREATE ") || strings.HasPrefix(s.Tag, "ALTER ")
	}
}

func computedSetting() *intercept.Refusal {
	return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "set_config with a computed name or value is not carried"}
}

// mayChange reports whether the gateway's reading of SQL survives the change.
func mayChange(s sqlfacts.Setting) bool {
	switch {
	case s.Reset && s.Scope == "system":
		return !s.All && !isRead(s.Name) // which any session may load, with its next statement
	case s.Reset:
		return true // back to what the session began with, which was checked
	case s.Scope == "function":
		return true // while the function runs, whose text the gateway does not read
	}
	switch s.Name {
	case "standard_conforming_strings":
		return isOn(s.Value)
	case "search_path":
		return s.Scope == "" // the session's own, which is followed
	case "backslash_quote", "role", "session_authorization":
		return false
	case "client_encoding", "names":
		return isUTF8(s.Value)
	default:
		return true
	}
}

// isRead reports whether SQL is read by a setting of the server's configuration.
func isRead(name string) bool {
	switch name {
	case "standard_conforming_strings", "backslash_quote", "client_encoding", "search_path":
		return true
	default:
		return false
	}
}

// isOn accepts the common spellings of true.
func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "on", "true", "yes", "1":
		return true
	default:
		return false
	}
}
