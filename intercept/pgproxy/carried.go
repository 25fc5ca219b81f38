package pgproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// uncarriedStatement says why a statement is not carried whatever the policy,
// nil if it is: COPY, and changes to settings under which the server would read
// SQL, resolve names or see the session's identity in another way.
func uncarriedStatement(s *sqlfacts.Statement) *intercept.Refusal {
	if s.Copy != sqlfacts.CopyNone {
		return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "COPY is not carried", Hint: "use SELECT or INSERT"}
	}
	for _, setting := range s.Settings {
		if !mayChange(setting) {
			return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: fmt.Sprintf("changing %q is not carried", setting.Name)}
		}
	}
	if slices.Contains(s.Functions, "set_config") && !readsSetConfig(s) {
		return &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: "set_config with a computed name or value is not carried"}
	}
	if s.Inner != nil {
		return uncarriedStatement(s.Inner)
	}
	return nil
}

// readsSetConfig reports whether every set_config of the statement could be read.
func readsSetConfig(s *sqlfacts.Statement) bool {
	return !slices.ContainsFunc(s.Opaque, func(reason string) bool { return strings.Contains(reason, "set_config") })
}

// mayChange reports whether the gateway's reading of SQL survives the change.
func mayChange(s sqlfacts.Setting) bool {
	if s.Reset {
		return true // back to what the session began with, which was checked
	}
	switch s.Name {
	case "standard_conforming_strings", "backslash_quote", "search_path", "role", "session_authorization":
		return false
	case "client_encoding", "names":
		return isUTF8(s.Value)
	default:
		return true
	}
}
