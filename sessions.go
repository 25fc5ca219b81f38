package gateway

import (
	"fmt"
	"sort"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
)

// A SessionInfo describes a live session. It is a snapshot, whose maps and slices
// are shared: read them only.
type SessionInfo struct {
	policy.Session
	Target   policy.Target
	Identity policy.Identity
}

// Sessions returns the sessions that are live, oldest first.
func (g *Gateway) Sessions() []SessionInfo {
	g.mu.Lock()
	live := make([]*session, 0, len(g.sessions))
	for _, s := range g.sessions {
		live = append(live, s)
	}
	g.mu.Unlock()
	infos := make([]SessionInfo, len(live))
	for i, s := range live {
		infos[i] = s.info()
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Started.Before(infos[j].Started) })
	return infos
}

// A Selector says which sessions are meant: those that match every field that is
// set. The zero Selector matches none.
type Selector struct {
	// Session is a session's id.
	Session string
	// Subject is a principal, anywhere in a session's chain. Issuer narrows the
	// other fields to sessions of one issuer's principals, and Subject to that
	// issuer's; alone it matches none.
	Subject, Issuer string
	// Target is a route's name.
	Target string
	// All matches every session.
	All bool
}

// Revoke ends the sessions that match, after telling their clients, and returns
// how many there were. It does not keep the same principal from coming back: that
// is the policy's or the verifier's to refuse.
func (g *Gateway) Revoke(sel Selector, reason string) int {
	n := 0
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if sel.matches(s.info()) {
			s.guard.End(fmt.Errorf("%w: %s", intercept.ErrRevoked, reason))
			n++
		}
	}
	return n
}

func (sel Selector) matches(i SessionInfo) bool {
	if sel == (Selector{Issuer: sel.Issuer}) {
		return false
	}
	return (sel.Session == "" || sel.Session == i.ID) &&
		(sel.Target == "" || sel.Target == i.Target.Name) &&
		(sel.Subject == "" && sel.Issuer == "" || sel.namesParty(i.Identity))
}

func (sel Selector) namesParty(id policy.Identity) bool {
	for _, p := range id.Principals() {
		if (sel.Subject == "" || p.Subject == sel.Subject) && (sel.Issuer == "" || p.Issuer == sel.Issuer) {
			return true
		}
	}
	return false
}

// session is a connection that the Gateway serves. It is its Guard's Observer.
type session struct {
	gateway   *Gateway
	guard     *intercept.Guard
	admission *admission
	span      trace.Span
	// login ends a connection that does not prove who it is.
	login *time.Timer
}

var _ intercept.Observer = (*session)(nil)

func (s *session) info() SessionInfo {
	i := SessionInfo{Session: s.guard.Snapshot(), Target: s.guard.Target()}
	if id := s.guard.Identity(); id != nil {
		i.Identity = *id
	}
	return i
}

// SessionStarted makes the session known to Sessions and Revoke.
func (s *session) SessionStarted(g *intercept.Guard) {
	s.admission.prove()
	s.login.Stop() // it holds the connection
	s.gateway.mu.Lock()
	s.gateway.sessions[g.Session()] = s
	s.gateway.mu.Unlock()
	s.span = s.gateway.watch.started(g)
}

// IdentityRefused logs why a proof did not hold.
func (s *session) IdentityRefused(g *intercept.Guard, err error) {
	s.gateway.watch.identityRefused(g, identity.ReasonOf(err), err)
}

// Decided counts a verdict.
func (s *session) Decided(g *intercept.Guard, action string, outcome policy.Outcome, v intercept.Verdict, took time.Duration) {
	s.gateway.watch.decided(g, s.span, action, outcome, v, took)
}

// SessionEnded ends the session's span.
func (s *session) SessionEnded(g *intercept.Guard, reason string) {
	s.gateway.watch.ended(g, s.span, reason)
}

func (g *Gateway) forget(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.guard.Session())
}
