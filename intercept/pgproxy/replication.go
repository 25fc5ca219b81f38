package pgproxy

import (
	"context"
	"strings"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/credsource"
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

// replicationRefused asks the policy whether the client may connect, and whether it
// may read the server's log, and returns what to tell it: replication is not carried
// even where it may.
//
// No human is asked about the second, since the answer would change nothing.
func (c *connection) replicationRefused(ctx context.Context) *intercept.Refusal {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := &connectWatch{conn: c.conn, cancel: cancel}
	verdict, err := c.guard.Connect(ctx, func(p approve.Pending) {
		c.waiting(p)
		watch.begin()
	}, func(context.Context, *credsource.Credential) error { return nil }) // there is nothing to dial for
	c.conn = watch.end()
	if err != nil {
		return &intercept.Refusal{Code: intercept.CodeUpstream, Reason: "the server could not be reached", Retryable: true}
	}
	if !verdict.Forward {
		return verdict.Refused()
	}
	facts := opaqueFacts("what is replicated can't be told")
	facts.Effects = append(facts.Effects, c.replicationEffect())
	verdict = c.guard.Authorize(ctx, &policy.Command{Action: policy.ActionPrepare, Text: "replication=" + c.startup.replicationText(), Facts: facts})
	if !verdict.Forward {
		return verdict.Refused()
	}
	return c.guard.Withhold(verdict, &intercept.Refusal{
		Code: intercept.CodeUnsupported, Reason: "replication is allowed by the policy, but not carried: what it sends can't be masked",
	}).Refused()
}

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
