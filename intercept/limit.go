package intercept

import (
	"fmt"
	"sync"
	"time"

	"github.com/headgate/gateway/policy"
)

// EnforcesLimits is the interceptor's promise, given before Connect, to keep to
// the Limit of each Verdict. Without it the Guard refuses commands whose policy
// bounds rows, bytes or time, so that no policy relies on a bound in vain. The
// rate of commands is the Guard's own matter.
func (g *Guard) EnforcesLimits() { g.enforced.Store(true) }

// limited returns the limit that holds for a command: its own and that of the
// connection, whichever is stricter. Nil means none.
func (g *Guard) limited(own *policy.Limit) *policy.Limit {
	all := g.limit.Load()
	switch {
	case own == nil || *own == policy.Limit{}:
		own = all
	case all != nil:
		if both := own.Stricter(*all); both != *own {
			own = &both
		}
	}
	if own == nil || *own == (policy.Limit{}) {
		return nil
	}
	return own
}

// unenforced refuses a limit that nobody would enforce.
func (g *Guard) unenforced(l *policy.Limit) *Refusal {
	if l == nil || g.enforced.Load() || l.Rows == 0 && l.Bytes == 0 && l.Timeout == 0 {
		return nil
	}
	return &Refusal{
		Code:   CodeUnsupported,
		Reason: "the policy sets a limit, which this protocol's interceptor does not enforce",
		Hint:   "remove the limit from the policy",
	}
}

// paced reports whether a command counts for the session's rate. What is prepared
// is counted when it is executed.
func paced(cmd *policy.Command) bool {
	return cmd.Action != policy.ActionPrepare && cmd.Action != policy.ActionConnect
}

// tooFast refuses a command that would exceed the session's rate, which take
// counts if it does not.
func (g *Guard) tooFast(cmd *policy.Command, l *policy.Limit, now time.Time, take bool) *Refusal {
	if !paced(cmd) {
		return nil
	}
	var most int64
	if l != nil {
		most = l.CommandsPerMinute
	}
	after, ok := g.pace.admit(now, most, take)
	if ok {
		return nil
	}
	seconds := int((after + time.Second - 1) / time.Second)
	return &Refusal{
		Code: CodeRateLimited, Reason: fmt.Sprintf("more than %d commands in a minute", most), Retryable: true,
		RetryAfter: seconds, Hint: fmt.Sprintf("try again in %d s", seconds),
	}
}

// minute is the window of a pace in seconds.
const minute = 60

// A pace counts the commands of the last minute, by the second. The zero pace has
// counted none.
type pace struct {
	mu sync.Mutex
	// seconds are the last sixty and the current one, so that no minute, wherever
	// it begins, has more than is allowed. Each session has them, so they are short:
	// Unix time fits until 2106.
	seconds [minute + 1]struct{ at, commands uint32 }
}

// admit reports whether one more command may run at the time now, of at most so
// many a minute, where zero is any number; otherwise, in how long. With take the
// command is counted.
func (p *pace) admit(now time.Time, most int64, take bool) (after time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	second := now.Unix()
	if most != 0 {
		if free := p.freeAt(second, most); free > second {
			return time.Unix(free, 0).Sub(now), false
		}
	}
	if take {
		s := &p.seconds[second%int64(len(p.seconds))]
		if int64(s.at) != second {
			s.at, s.commands = uint32(second), 0 //nolint:gosec // see seconds
		}
		s.commands++
	}
	return 0, true
}

// freeAt returns the second from which another command has its place.
func (p *pace) freeAt(second, most int64) int64 {
	var count int64
	for _, s := range p.seconds {
		if int64(s.at) > second-int64(len(p.seconds)) { // also what a clock that was set back has seen
			count += int64(s.commands)
		}
	}
	free := second
	for count >= most {
		oldest := &p.seconds[(free+1)%int64(len(p.seconds))]
		if int64(oldest.at) > second-int64(len(p.seconds)) {
			count -= int64(oldest.commands)
		}
		if free++; free > second+int64(len(p.seconds)) {
			break // nothing may ever run
		}
	}
	return free
}
