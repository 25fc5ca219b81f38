package pgproxy

import (
	"fmt"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
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
		case lower == "database" && s.replication() == replicationPhysical: // is of all databases
		case lower == "database":
			if r := checkDatabase(value, s.parameters["user"], database); r != nil {
				return nil, r
			}
		case lower == "client_encoding":
			if !isUTF8(value) {
				return nil, unsupportedParameter(name, "only UTF8 is carried")
			}
		case lower == "options" && strings.TrimSpace(value) == "":
		case lower == "options" && s.replication() == replicationLogical && optionsOfSubscriber(value, out):
		case name == "replication" && replicationOf(value) != replicationUnknown: // put to the policy
		case lower == "replication":
			return nil, unsupportedParameter(name, "it is no way to say whether to replicate")
		case passedParameter(lower):
			out[lower] = value
		default:
			return nil, unsupportedParameter(name, "it is not on the list of startup parameters that pass")
		}
	}
	return out, nil
}

// startupRefused records that the startup packet of a client that has proved who
// it is asks for what is not carried, and returns what to tell it.
func (c *connection) startupRefused(r *intercept.Refusal) *intercept.Refusal {
	facts := opaqueFacts(r.Reason)
	facts.Effects = append(facts.Effects, policy.Effect{Verb: policy.VerbConnect, Kind: "target", Name: c.guard.Target().Name})
	if c.startup.replication() != replicationNone {
		facts.Effects = append(facts.Effects, c.replicationEffect())
	}
	return c.guard.Refuse(&policy.Command{Action: policy.ActionConnect, Facts: facts}, r).Refused()
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
