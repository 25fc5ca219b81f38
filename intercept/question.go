package intercept

import (
	"sync"

	"github.com/headgate/gateway/policy"
)

// A question is an input in a shape that can be used again: the data path asks
// for every command.
type question struct {
	input   policy.Input
	session policy.Session
}

var questions = sync.Pool{New: func() any { return new(question) }}

func (g *Guard) question(cmd *policy.Command, redeemed *policy.Approval) *question {
	q := questions.Get().(*question) //nolint:errcheck // the pool holds nothing else
	q.session = g.Snapshot()
	q.input = policy.Input{Identity: g.id, Target: &g.cfg.Target, Session: &q.session, Command: cmd, Approval: redeemed}
	return q
}

func (q *question) free() {
	*q = question{}
	questions.Put(q)
}
