package pgproxy

import (
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/intercept/pgproxy/internal/walcommand"
	"github.com/headgate/gateway/policy"
)

// walsenderQuery judges a Query of a session for replication that the server takes for
// a command of replication. It reports whether it has taken it: SQL is judged as
// anywhere, and so is SHOW where both are understood.
func (s *session) walsenderQuery(msg []byte, text string) (w *wait, taken bool) {
	if s.replication == replicationNone {
		return nil, false
	}
	if !walcommand.Is(text) {
		if s.replication == replicationLogical {
			return nil, false
		}
		s.refuseText(text, "SQL in a session for physical replication", &complaint{
			code: "0A000", message: "cannot execute SQL commands in WAL sender for physical replication",
		})
		return nil, true
	}
	if len(text) > s.proxy.cfg.MaxStatementBytes {
		s.refuseText(text, "a replication command is too long", nil)
		return nil, true
	}
	command, err := walcommand.Parse(text)
	if err != nil {
		s.refuseText(text, err.Error(), nil)
		return nil, true
	}
	if command.Name == walcommand.Show && s.replication == replicationLogical {
		return nil, false
	}
	cmd := &policy.Command{Action: policy.ActionQuery, Text: text, Facts: s.replicationFacts(command)}
	return s.judge(cmd, msg, func(v intercept.Verdict, msg []byte) { s.sendReplication(msg, command, cmd, v) }), true
}

// refuseText refuses a text that is not carried whatever the policy.
func (s *session) refuseText(text, reason string, c *complaint) {
	r := &intercept.Refusal{Code: intercept.CodeUnparsable, Reason: reason}
	if c != nil {
		r.Code = intercept.CodeUnsupported
	}
	r = s.guard.Refuse(&policy.Command{Action: policy.ActionQuery, Text: text, Facts: opaqueFacts(reason)}, r).Refused()
	s.refuseAs(msgQuery, r, c)
}

// sendReplication sends a judged command, or what fails in its place.
func (s *session) sendReplication(msg []byte, command *walcommand.Command, cmd *policy.Command, v intercept.Verdict) {
	if v.Forward {
		if r := s.unreplicable(command, v); r != nil {
			v = s.guard.Withhold(v, r)
		}
	}
	if !v.Forward {
		s.refuse(msgQuery, v.Refused())
		return
	}
	query := &resolved{facts: cmd.Facts, reads: isOnlyRead(cmd.Effects)}
	run := &execution{query: query, text: cmd.Text, verdict: v, limit: bounds(v)}
	s.send(msg, entry{kind: msgQuery, run: run, judged: true, verdict: v, stream: streamOf(command)})
	s.nextBatch()
}

// unreplicable says why a command can't be carried under a verdict that allows it: the
// log and copies of files have columns that nobody can tell, and no rows to count.
func (s *session) unreplicable(command *walcommand.Command, v intercept.Verdict) *intercept.Refusal {
	switch command.Name {
	case walcommand.Start, walcommand.BaseBackup, walcommand.TimelineHistory:
	default:
		return nil
	}
	if len(v.Masks) > 0 || s.masksSeen || s.searched != nil {
		return &intercept.Refusal{
			Code: intercept.CodeUnmaskable, Reason: "the policy has masks, which can't be applied to what " + command.Name + " sends",
			Hint: "allow it to an identity for which nothing is masked",
		}
	}
	if v.Limit != nil && v.Limit.Rows != 0 {
		return &intercept.Refusal{
			Code: intercept.CodeUnsupported, Reason: command.Name + " is not carried under a limit of rows, which it does not send", Hint: "limit bytes or seconds",
		}
	}
	return nil
}

func isOnlyRead(effects []policy.Effect) bool {
	for _, e := range effects {
		if e.Verb != policy.VerbRead {
			return false
		}
	}
	return true
}

// kindSlot is the kind of effects on replication slots.
const kindSlot = "replication slot"

// replicationFacts says what a command of replication does.
func (s *session) replicationFacts(c *walcommand.Command) *policy.Facts {
	facts := &policy.Facts{Effects: []policy.Effect{}, Opaque: []string{}, SQL: &policy.SQL{Statements: []policy.SQLStatement{{Tag: c.Name}}}}
	add := func(verb, kind, name string) {
		facts.Effects = append(facts.Effects, policy.Effect{Verb: verb, Kind: kind, Name: name})
	}
	target := s.guard.Target().Name
	switch c.Name {
	case walcommand.IdentifySystem, walcommand.TimelineHistory:
		add(policy.VerbRead, "replication", target)
	case walcommand.Show:
		add(policy.VerbRead, "setting", c.Setting)
	case walcommand.ReadSlot:
		add(policy.VerbRead, kindSlot, c.Slot)
	case walcommand.DropSlot:
		add(policy.VerbDelete, kindSlot, c.Slot)
	case walcommand.AlterSlot:
		add(policy.VerbDefine, kindSlot, c.Slot)
	case walcommand.CreateSlot:
		add(policy.VerbDefine, kindSlot, c.Slot)
		if c.Logical {
			add(policy.VerbExecute, "output plugin", c.Plugin)
		}
	case walcommand.Start:
		add(policy.VerbRead, "replication", target)
		if c.Slot != "" {
			add(policy.VerbRead, kindSlot, c.Slot)
		}
		facts.Opaque = append(facts.Opaque, replicatedUnknown)
	case walcommand.BaseBackup:
		add(policy.VerbRead, "replication", target)
		switch backupTarget := c.Option("target"); backupTarget {
		case "", "client", "blackhole":
		case "server":
			add(policy.VerbCreate, "file", c.Option("target_detail"))
		default:
			add(policy.VerbExecute, "backup target", backupTarget)
		}
		facts.Opaque = append(facts.Opaque, replicatedUnknown)
	case walcommand.UploadManifest:
		add(policy.VerbCreate, "backup manifest", target)
	}
	return facts
}

// forbiddenHere refuses, as the server does, the messages that are not for sessions for
// replication. It reports whether it has.
func (s *session) forbiddenHere(typ byte) bool {
	if s.replication == replicationNone {
		return false
	}
	what := "extended query protocol"
	switch typ {
	case msgParse, msgBind, msgDescribe, msgExecute, msgClose:
	case msgFunctionCall:
		what = "fastpath function calls"
	default:
		return false
	}
	text := what + " not supported in a replication connection"
	r := &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: text}
	r = s.guard.Refuse(nameless(text), r).Refused()
	s.refuseAs(typ, r, &complaint{code: "08P01", message: text})
	return true
}

// copiesOut reports whether a statement is a COPY to the client.
func (r *resolved) copiesOut() bool {
	for _, t := range r.traced {
		if t.statement.Copy == sqlfacts.CopyToStdout {
			return true
		}
	}
	return false
}
