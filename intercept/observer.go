package intercept

import (
	"time"

	"github.com/headgate/gateway/policy"
)

// An Observer is told what a Guard does, for metrics, traces and logs. Its
// methods are called on the data path and must return at once; they get no
// secret, and no text of a command that a metric label could leak.
type Observer interface {
	// SessionStarted is called when an identity has been verified.
	SessionStarted(g *Guard)
	// IdentityRefused is called when a proof did not hold. err is for logs.
	IdentityRefused(g *Guard, err error)
	// Decided is called for each verdict; took includes waiting for a human.
	Decided(g *Guard, action string, outcome policy.Outcome, v Verdict, took time.Duration)
	// SessionEnded is called once for a session that was started.
	SessionEnded(g *Guard, reason string)
}

type unobserved struct{}

func (unobserved) SessionStarted(*Guard)                                          {}
func (unobserved) IdentityRefused(*Guard, error)                                  {}
func (unobserved) Decided(*Guard, string, policy.Outcome, Verdict, time.Duration) {}
func (unobserved) SessionEnded(*Guard, string)                                    {}
