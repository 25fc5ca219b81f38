package pgproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/policy"
)

// Propagation tells the server who a session belongs to: for its logs, or so that
// row-level security can use it. The zero Propagation tells nothing.
//
// What is told is set when the connection is made, so that RESET and DISCARD ALL
// come back to it, and the gateway makes sure of that. Statements that would change
// it are refused whatever the policy says. With Settings or Role that includes
// every statement which runs code that the gateway can't read (DO, CALL, CREATE
// FUNCTION, functions that run SQL text), since such code could change it. Functions
// that are in the database already are trusted not to.
type Propagation struct {
	// ApplicationName sets application_name to "headgate:" and the subject, as far
	// as it fits, in place of what the client says. It is for logs: code that a
	// client may run can change it.
	ApplicationName bool
	// Settings are set to what their functions return. A name has a dot in it, as
	// "headgate.subject", and is read by current_setting.
	Settings map[string]func(*policy.Identity) (string, error)
	// Role returns the role that the session has, which the upstream user must be a
	// member of. The server must not let RESET SESSION AUTHORIZATION undo a role:
	// releases before November 2024 do, and sessions with them are refused.
	Role func(*policy.Identity) (string, error)
}

// Subject is for Propagation.Settings and Role: it returns the identity's subject.
func Subject(id *policy.Identity) (string, error) { return id.Subject, nil }

// holds reports whether the server relies on what it is told.
func (p *Propagation) holds() bool { return len(p.Settings) > 0 || p.Role != nil }

func (p *Propagation) validate() error {
	for name, value := range p.Settings {
		prefix, rest, ok := strings.Cut(name, ".")
		if !ok || !isSettingName(prefix) || !isSettingName(rest) || value == nil {
			return fmt.Errorf("Config.Propagate.Settings: %q is not two names in lower case with a dot between them, or has no function", name)
		}
	}
	return nil
}

func isSettingName(s string) bool {
	return s != "" && len(s) < 32 && (s[0] < '0' || s[0] > '9') && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

// told is what one session's server is told.
type told struct {
	settings map[string]string
	role     string
}

// Bounds of what is told: the server's on names, and that of a startup packet.
const maxToldValue = 2048

// tell works out what to tell. Values that the server would cut short, or take for
// something else, are errors.
func (p *Propagation) tell(id *policy.Identity) (told, error) {
	t := told{settings: map[string]string{}}
	for name, value := range p.Settings {
		text, err := value(id)
		if err != nil {
			return told{}, fmt.Errorf("pgproxy: setting %q: %w", name, err)
		}
		if text == "" || len(text) > maxToldValue || strings.Contains(text, "\x00") || !utf8.ValidString(text) {
			return told{}, fmt.Errorf("pgproxy: setting %q: the value is empty, too long or no text", name)
		}
		t.settings[name] = text
	}
	if p.Role != nil {
		role, err := p.Role(id)
		if err != nil {
			return told{}, fmt.Errorf("pgproxy: role: %w", err)
		}
		if role == "" || role == "none" || len(role) > maxName || strings.Contains(role, "\x00") || !utf8.ValidString(role) {
			return told{}, errors.New("pgproxy: role: the name is none that a role can have")
		}
		t.role = role
	}
	return t, nil
}

// parameters adds what is told to the startup parameters.
func (t told) parameters(runtime map[string]string) {
	maps.Copy(runtime, t.settings)
	if t.role != "" {
		runtime["role"] = t.role
	}
}

// applicationName fits a subject into application_name: the server keeps 63 bytes,
// and of these only printable ASCII as it is.
func applicationName(subject string) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, "headgate:"+subject)
	return name[:min(len(name), maxName)]
}

// errUntold says that the server does not keep what it was told.
var errUntold = errors.New("pgproxy: the server does not keep the identity that it was told")

// confirm makes sure that the server keeps what it was told through the strongest
// way to undo it that clients have. A pooler in between may drop it.
func (t told) confirm(ctx context.Context, conn *pgconn.PgConn) error {
	if len(t.settings) == 0 && t.role == "" {
		return nil
	}
	if _, err := conn.Exec(ctx, "DISCARD ALL").ReadAll(); err != nil {
		return fmt.Errorf("%w: %w", errUntold, err)
	}
	columns, want := []string{"SELECT current_user"}, []string{t.role}
	for name, value := range t.settings { // names are plain: validate
		columns, want = append(columns, "pg_catalog.current_setting('"+name+"', true)"), append(want, value)
	}
	results, err := conn.Exec(ctx, strings.Join(columns, ", ")).ReadAll()
	if err != nil {
		return fmt.Errorf("%w: %w", errUntold, err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != len(want) {
		return errUntold
	}
	for i, got := range results[0].Rows[0] {
		if (i > 0 || t.role != "") && string(got) != want[i] {
			return errUntold
		}
	}
	return nil
}

// refusal says why a statement is not carried where the server relies on what it
// was told, nil if it is.
func (p *Propagation) refusal(q *sqlfacts.Query) *intercept.Refusal {
	for _, s := range q.Statements {
		for ; s != nil; s = s.Inner {
			if r := p.refusesStatement(s); r != nil {
				return r
			}
		}
	}
	return nil
}

func (p *Propagation) refusesStatement(s *sqlfacts.Statement) *intercept.Refusal {
	for _, setting := range s.Settings {
		if s.Discards == "all" {
			break // confirm has tried it
		}
		if p.undoes(setting) {
			return &intercept.Refusal{
				Code: intercept.CodeUnsupported, Reason: fmt.Sprintf("changing %q is refused: it tells the server who the session belongs to", setting.Name),
			}
		}
	}
	if !p.holds() {
		return nil
	}
	for _, reason := range s.Opaque {
		if !slices.Contains(runsNoCode(), reason) {
			return &intercept.Refusal{
				Code: intercept.CodeUnsupported, Reason: "what can't be read is refused, as it could change who the server takes the session for: " + reason,
			}
		}
	}
	return nil
}

// runsNoCode are the reasons for which effects may be unknown, but not code that runs.
func runsNoCode() []string { return []string{"cascade", "objects named by their owner"} }

// undoes reports whether a change of a setting touches what the server was told.
// A reset comes back to it, but for that of session_authorization, which may drop
// the role; a function that has settings of its own runs with them.
func (p *Propagation) undoes(s sqlfacts.Setting) bool {
	switch {
	case s.All:
		return false
	case s.Computed:
		return true
	case s.Name == "session_authorization":
		return p.Role != nil
	case s.Reset && s.Scope == "":
		return false
	case s.Name == "role":
		return p.Role != nil
	case s.Name == "application_name":
		return p.ApplicationName
	}
	for name := range p.Settings {
		if strings.EqualFold(name, s.Name) {
			return true
		}
	}
	return false
}
