package pgproxy

import (
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// A replicationMode is what a startup packet asks for by the parameter replication.
type replicationMode uint8

const (
	replicationNone replicationMode = iota
	replicationPhysical
	replicationLogical
	// replicationUnknown is a value that a server refuses.
	replicationUnknown
)

// replicationOf reads the parameter's value as the server does: "database", or any
// spelling of a boolean, of which the first letters do.
func replicationOf(value string) replicationMode {
	lower := strings.ToLower(value)
	begins := func(word string, least int) bool {
		return len(lower) >= least && strings.HasPrefix(word, lower)
	}
	switch {
	case value == "database":
		return replicationLogical
	case begins("true", 1), begins("yes", 1), begins("on", 2), value == "1":
		return replicationPhysical
	case begins("false", 1), begins("no", 1), begins("off", 2), value == "0":
		return replicationNone
	default:
		return replicationUnknown
	}
}

// replication returns what a startup packet asks for, by whatever case of the name.
func (s *startup) replication() replicationMode {
	for name, value := range s.parameters {
		if mode := replicationOf(value); strings.EqualFold(name, "replication") && mode != replicationNone {
			return mode
		}
	}
	return replicationNone
}

// replicates is what a policy is told, when connecting is judged, of a client that
// means to replicate; nil for one that does not. It is opaque: who may read tables
// is not thereby meant to have all of them.
func (c *connection) replicates() *policy.Command {
	if c.startup.replication() == replicationNone {
		return nil
	}
	facts := opaqueFacts(replicatedUnknown)
	facts.Effects = append(facts.Effects, c.replicationEffect())
	return &policy.Command{Text: "replication=" + c.startup.replicationText(), Facts: facts}
}

// replicatedUnknown is why the effects of replication are incomplete.
const replicatedUnknown = "what is replicated can't be told"

func (c *connection) replicationEffect() policy.Effect {
	return policy.Effect{Verb: policy.VerbRead, Kind: "replication", Name: c.guard.Target().Name}
}

// replicationText is the parameter's value in one spelling.
func (s *startup) replicationText() string {
	if s.replication() == replicationLogical {
		return "database"
	}
	return "true"
}

// replicationParameters adds to the startup parameters what a server is told of
// replication, or refuses it.
func (c *connection) replicationParameters(runtime map[string]string) *intercept.Refusal {
	if c.startup.replication() == replicationNone {
		return nil
	}
	if c.proxy.cfg.Propagate.holds() {
		return &intercept.Refusal{
			Code: intercept.CodeUnsupported, Reason: "replication is not carried where the server relies on being told who a session belongs to",
		}
	}
	runtime["replication"] = c.startup.replicationText()
	return nil
}

// optionsOfSubscriber reads startup options as a subscriber writes them, "-c name=value"
// with blanks between, into parameters that pass. It reports whether they are nothing
// else.
func optionsOfSubscriber(options string, out map[string]string) bool {
	words := strings.Fields(options)
	if len(words)%2 != 0 || strings.ContainsAny(options, "\\'\"") {
		return false
	}
	for i := 0; i < len(words); i += 2 {
		name, value, ok := strings.Cut(words[i+1], "=")
		name = strings.ToLower(name)
		if words[i] != "-c" || !ok || !passedParameter(name) {
			return false
		}
		out[name] = value
	}
	return true
}
