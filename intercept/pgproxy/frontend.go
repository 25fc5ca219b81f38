package pgproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// A judgement is a command that the policy has no remembered decision for, or
// that a human must agree to. then goes on with its verdict, under mu.
type judgement struct {
	command *policy.Command
	then    func(intercept.Verdict)
}

// A wait is something without which the client's direction can't go on. One of
// judgement, work and until is set.
type wait struct {
	// judgement waits for a verdict; its message has been consumed.
	judgement *judgement
	// work is done without mu held; the message has not been consumed.
	work func()
	// until reports, under mu, whether the server has answered enough; the message
	// has not been consumed.
	until func() bool
	// over is the driver's own note that judgement or work is done.
	over bool
}

// perform does what w waits for, which may take long. waiting is told if a human
// is asked.
func (s *session) perform(ctx context.Context, w *wait, waiting func(approve.Pending)) {
	if w.work != nil {
		w.work()
		s.mu.Lock()
		s.cancelWait, s.waitCancelled = nil, false // a cancel request was about nothing that lasts
		s.mu.Unlock()
		return
	}
	before, asked := s.shelf.changes.Load(), false
	v, err := s.authorize(ctx, w.judgement.command, func(p approve.Pending) {
		asked = true
		waiting(p)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.recovered(&err)
	s.cancelWait = nil
	if asked && v.Forward && (s.othersChangeCatalogue() || s.shelf.changes.Load() != before) {
		v = s.guard.Withhold(v, &intercept.Refusal{
			Code: intercept.CodeApprovalExpired, Reason: "the server's catalogue changed while the approval was waited for", Retryable: true,
		})
	}
	if err != nil {
		_ = s.fail(err)
	}
	if s.ended == nil {
		w.judgement.then(v)
	}
	s.waitCancelled = false
}

// authorize turns a panic of one of the host's parts into an error: there is no
// one above this goroutine who could.
func (s *session) authorize(ctx context.Context, cmd *policy.Command, waiting func(approve.Pending)) (v intercept.Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pgproxy: panic: %v", r)
		}
	}()
	return s.guard.AuthorizeWaiting(ctx, cmd, waiting), nil
}

// mustWait returns what a message of type typ has to wait for before it is looked
// at, nil if nothing.
func (s *session) mustWait(typ byte) *wait {
	if s.cancelling {
		return &wait{until: func() bool { return !s.cancelling }}
	}
	if w := s.copyInDecided(); w != nil {
		return w // first: what else has to wait depends on it
	}
	switch {
	case s.holdsBack(typ):
		return s.waitFor(func() bool { return s.limited == 0 })
	case s.queueFull():
		return s.waitFor(func() bool { return !s.queueFull() })
	default:
		return nil
	}
}

// fromClient consumes whole messages of in, judges them and appends what may be
// sent to s.toServer. It stops at a message that has to wait. errEnded says that
// the client has said goodbye.
func (s *session) fromClient(in []byte) (used int, w *wait, err error) {
	for {
		if s.ended != nil {
			return used, nil, s.ended
		}
		if s.oversize > 0 {
			n := min(s.oversize, len(in)-used)
			s.oversize -= n
			used += n
		}
		rest := in[used:]
		if s.copyIn.left > 0 {
			n, err := s.copyInRest(rest)
			if err != nil {
				return used, nil, s.fail(err)
			}
			used += n
			rest = rest[n:]
		}
		if len(rest) < headerSize {
			return used, nil, nil
		}
		n, err := bodyLength(rest)
		if err != nil {
			return used, nil, s.fail(err)
		}
		if w := s.mustWait(rest[0]); w != nil {
			return used, w, nil
		}
		if s.copyIn.active && rest[0] != msgTerminate {
			n, err := s.duringCopy(rest)
			if err != nil {
				return used, nil, s.fail(err)
			}
			if used += n; n == 0 && s.oversize == 0 {
				return used, nil, nil
			}
			continue
		}
		if n > s.proxy.cfg.MaxMessageBytes {
			s.oversize = headerSize + n
			s.refuseOversize(rest[0], n)
			continue
		}
		if len(rest) < headerSize+n {
			return used, nil, nil
		}
		w, err := s.clientMessage(rest[:headerSize+n])
		if err != nil && !errors.Is(err, errEnded) {
			err = s.fail(err)
		}
		if w == nil || w.judgement != nil {
			used += headerSize + n
		}
		if w != nil || err != nil {
			return used, w, err
		}
	}
}

// queueFull reports whether no more may be sent before something is answered.
func (s *session) queueFull() bool {
	return s.queue.size >= s.proxy.cfg.MaxPipeline || s.weight > s.proxy.cfg.MaxMessageBytes
}

// waitFor makes a wait for the server. A Flush goes ahead of it: within a
// pipeline the server holds its answers back until it is told.
func (s *session) waitFor(until func() bool) *wait {
	if s.queue.size > 0 {
		s.toServer = append(s.toServer, msgFlush, 0, 0, 0, 4)
	}
	return &wait{until: until}
}

// clientMessage judges one whole message.
func (s *session) clientMessage(msg []byte) (*wait, error) {
	typ, body := msg[0], msg[headerSize:]
	switch typ {
	case msgTerminate:
		return s.terminate(msg)
	case msgSync:
		return nil, s.sync(msg, body)
	}
	if s.skipping || s.discarding {
		return nil, nil // the server skips it, too
	}
	if s.forbiddenHere(typ) {
		return nil, nil
	}
	switch typ {
	case msgQuery:
		return s.query(msg, body)
	case msgParse:
		return s.parse(msg, body)
	case msgBind:
		return s.bind(msg, body)
	case msgDescribe:
		return s.describe(msg, body)
	case msgExecute:
		return s.execute(msg, body)
	case msgClose:
		return s.close(msg, body)
	case msgFlush:
		if len(body) != 0 {
			return nil, fmt.Errorf("%w: Flush", errMalformed)
		}
		s.toServer = append(s.toServer, msg...)
	case msgFunctionCall:
		return s.functionCall(msg, body)
	case msgCopyData, msgCopyDone, msgCopyFail:
		// No COPY is under way: the server ignores them (manual, "COPY Operations").
	default:
		return nil, fmt.Errorf("%w: type %q from the client", errMalformed, typ)
	}
	return nil, nil
}

// terminate passes the client's goodbye on when all before it has been answered:
// a server, too, does first what it was sent before. One that reads rows answers
// nothing more, and gives the COPY up at the goodbye.
func (s *session) terminate(msg []byte) (*wait, error) {
	s.leaving = true
	if s.queue.size > 0 && !s.copyIn.active {
		return s.waitFor(func() bool { return s.queue.size == 0 }), nil
	}
	s.toServer = append(s.toServer, msg...)
	return nil, errEnded
}

// sync ends a batch.
func (s *session) sync(msg, body []byte) error {
	if len(body) != 0 {
		return fmt.Errorf("%w: Sync", errMalformed)
	}
	s.skipping, s.discarding = false, false
	s.send(msg, entry{kind: msgSync})
	s.nextBatch()
	return nil
}

func (s *session) nextBatch() {
	s.batch++
	s.open = false
	s.naming.earlier += s.naming.open
	s.naming.open = 0
}

// send sends a judged message and notes what answer to expect.
func (s *session) send(msg []byte, e entry) {
	s.toServer = append(s.toServer, msg...)
	s.namesPending += e.renames
	if e.run != nil {
		e.unseen = e.run.query.unseen()
		s.unseenPending += e.unseen
	}
	s.path.sent(&e, s.status)
	e.batch, e.weight = s.batch, len(msg)
	s.weight += e.weight
	if e.run != nil && !e.hidden {
		s.expectCopyIn(&e, e.run.query)
	}
	if e.undo != nil {
		s.naming.open++
	}
	if !s.open {
		s.risky = s.queue.size > 0 || s.status != statusIdle
	}
	s.queue.push(e)
	s.open = true
	if e.run != nil && e.run.limit != nil && e.judged {
		s.underLimit(s.queue.at(s.queue.size - 1))
	}
	if e.kind == msgExecute && !e.portal.run.query.reads {
		s.risky = true
	}
}

// holdsBack reports whether a message of the client has to wait for one that has a
// limit. What comes among the rows of a COPY need not, nor a Flush, nor a Sync of a
// batch that has only read: whether that is committed makes no difference.
func (s *session) holdsBack(typ byte) bool {
	switch {
	case s.limited == 0 || s.copyIn.active || typ == msgTerminate || typ == msgFlush || typ == msgCopyData || typ == msgCopyDone || typ == msgCopyFail:
		return false
	case typ == msgSync:
		return s.risky
	default:
		return true
	}
}

// named notes that an entry leaves the queue, which may have changed names.
func (s *session) named(e *entry) {
	s.copyInOver(e)
	switch {
	case e.undo == nil:
	case e.batch == s.batch:
		s.naming.open--
	default:
		s.naming.earlier--
	}
}

// refuse sends a message that must fail in the place of a refused one of type
// kind. The server thereby fails, rolls back and skips exactly what it would for
// an error of its own; only the error's text is rewritten on its way back.
func (s *session) refuse(kind byte, r *intercept.Refusal) { s.refuseAs(kind, r, s.cancelled(r)) }

// refuseAs is refuse with what the client is told, nil for the refusal.
func (s *session) refuseAs(kind byte, r *intercept.Refusal, c *complaint) {
	switch kind {
	case msgFunctionCall: // a Query would end the unnamed statement
		s.toServer = appendFunctionCall(s.toServer, noFunction)
		s.queue.push(entry{kind: kind, refusal: r, complaint: c})
		s.nextBatch()
		return
	case msgQuery:
		s.toServer = appendQuery(s.toServer, c.failing())
		s.queue.push(entry{kind: kind, refusal: r, complaint: c})
		s.nextBatch()
		return
	}
	s.toServer = appendParse(s.toServer, failingName, c.failing())
	s.refused(entry{kind: msgParse, refusal: r, complaint: c})
}

// refused notes that a failing message of the extended protocol has been sent.
func (s *session) refused(e entry) {
	s.queue.push(e)
	s.skipping, s.open = true, true
}

// failingStatement and failingAtEnd are no SQL whatever the server's settings, and
// failingPair is more than a Parse may hold;
// failingName keeps them from replacing the unnamed statement.
const (
	failingStatement = "headgate refused a statement here"
	failingAtEnd     = "( -- headgate refused a statement here"
	failingPair      = "SELECT; SELECT -- headgate refused a statement here"
	failingName      = "headgate_refused"
)

// refuseOversize refuses a message that is too long to be held.
func (s *session) refuseOversize(typ byte, n int) {
	if s.skipping || s.discarding {
		return
	}
	r := &intercept.Refusal{Code: intercept.CodeTooLarge, Reason: fmt.Sprintf("a message of %d bytes is longer than the gateway takes", n)}
	s.guard.Refuse(&policy.Command{Action: policy.ActionQuery, Facts: opaqueFacts("message too long to be read")}, r)
	s.refuse(typ, r)
}

// nameless is the command of a message that is about a name without a meaning.
func nameless(reason string) *policy.Command {
	return &policy.Command{Action: policy.ActionExecute, Facts: opaqueFacts(reason)}
}

func opaqueFacts(reason string) *policy.Facts {
	return &policy.Facts{Effects: []policy.Effect{}, Opaque: []string{reason}}
}

// judge gets a verdict on msg and goes on with it, or returns what to wait for.
func (s *session) judge(cmd *policy.Command, msg []byte, then func(intercept.Verdict, []byte)) *wait {
	if v, ok := s.guard.TryAuthorize(cmd); ok {
		then(v, msg)
		return nil
	}
	held := bytes.Clone(msg) // the driver's buffer is used for other things meanwhile
	return &wait{judgement: &judgement{cmd, func(v intercept.Verdict) {
		if s.discarding {
			s.skip(v)
			return
		}
		then(v, held)
	}}}
}

// skip drops a message that the server would skip, because something before it
// has failed while it was judged.
func (s *session) skip(v intercept.Verdict) {
	if v.Forward {
		s.results = append(s.results, finished{v, intercept.Outcome{Status: "skipped"}})
	}
}
