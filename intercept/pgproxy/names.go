package pgproxy

import "github.com/headgate/gateway/policy"

// A statement is a prepared statement. Statements of the extended protocol and
// of SQL's PREPARE share one name space, in the server and here.
type statement struct {
	// text is what was parsed, query its analysis.
	text  string
	query *resolved
	// types is the rest of the Parse that made it, the types of its parameters: a
	// number of 16 bits and those; nil where SQL's PREPARE made it.
	types []byte
	// doubtful says that code which the gateway can't see may have prepared another
	// by its name since.
	doubtful bool
	// layout is the body of the statement's RowDescription, once it is known. It
	// belongs to the statement: it outlives every batch.
	layout []byte
}

// A portal is a bound statement or an SQL cursor.
type portal struct {
	statement *statement
	run       *execution
	// formats are the result formats of Bind.
	formats []int16
	// described says that a RowDescription of the portal is on its way or here.
	described bool
	// doubtful says that code which the gateway can't see may have put another
	// portal or cursor in its place since.
	doubtful bool
	// command is what was judged when the portal was bound.
	command *policy.Command
	// cursor is what an SQL cursor reads; then statement and run are nil.
	cursor *traced
	// hold says that the cursor was declared WITH HOLD, kept that its transaction
	// has been committed.
	hold, kept bool
	// batch is when the portal was made.
	batch uint64
	// size is how many bytes it holds: of parameters, or of a cursor's text.
	size int
}

// describe notes that a RowDescription of the portal has been asked for, and
// returns how to take that back.
func (p *portal) describe() func() {
	before := p.described
	p.described = true
	return func() { p.described = before }
}

// names is what a session's prepared statements and portals are called.
//
// A name that has been sent a new meaning keeps the old one if the server fails
// the message. Within a batch that does not matter, for then the server skips the
// rest of it; a later batch must wait until the answers are there (see
// session.settled).
type names struct {
	statements map[string]*statement
	portals    map[string]*portal
	limit      int
	// bytes is the length of all statements' texts, and what portals hold.
	bytes int
}

// maxNamedBytes bounds what a session's prepared statements and portals hold.
const maxNamedBytes = 32 << 20

func (n *names) full() bool {
	return len(n.statements)+len(n.portals) >= n.limit || n.bytes > maxNamedBytes
}

// maxName is the server's bound (NAMEDATALEN - 1). It takes longer names for
// equal if they begin alike, so the gateway takes none.
const maxName = 63

// setStatement gives a name a meaning, nil for none, and returns how to take it
// back.
func (n *names) setStatement(name string, s *statement) func() {
	before := n.statements[name]
	n.putStatement(name, s)
	return func() {
		if n.statements[name] == s {
			n.putStatement(name, before)
		}
	}
}

func (n *names) putStatement(name string, s *statement) {
	if before := n.statements[name]; before != nil {
		n.bytes -= len(before.text)
		delete(n.statements, name)
	}
	if s == nil {
		return
	}
	if n.statements == nil {
		n.statements = make(map[string]*statement)
	}
	n.statements[name] = s
	n.bytes += len(s.text)
}

func (n *names) clearStatements() {
	for name := range n.statements {
		n.putStatement(name, nil)
	}
}

// clearPortals forgets all portals but the one that is at work, which the server can't
// close.
func (n *names) clearPortals(but *portal) {
	for name, p := range n.portals {
		if p != but {
			n.putPortal(name, nil)
		}
	}
}

// setPortal does the same for portals.
func (n *names) setPortal(name string, p *portal) func() {
	before := n.portals[name]
	n.putPortal(name, p)
	return func() {
		if n.portals[name] == p {
			n.putPortal(name, before)
		}
	}
}

func (n *names) putPortal(name string, p *portal) {
	if before := n.portals[name]; before != nil {
		n.bytes -= before.size
		delete(n.portals, name)
	}
	if p == nil {
		return
	}
	if n.portals == nil {
		n.portals = make(map[string]*portal)
	}
	n.portals[name] = p
	n.bytes += p.size
}

// endTransaction forgets the portals that end with a transaction: all that were
// made in a batch that has been answered, but for cursors WITH HOLD of one that
// was committed.
func (n *names) endTransaction(answered uint64, committed bool) {
	for name, p := range n.portals {
		if p.batch > answered || p.kept {
			continue
		}
		if p.hold && committed {
			p.kept = true
			continue
		}
		n.putPortal(name, nil)
	}
}

// forgetCursors forgets what names of cursors mean, but for one: something has
// been run that could have closed them and opened others by their names. Portals
// of the protocol that were bound so far are doubtful for the same reason.
func (n *names) forgetCursors(but *portal) {
	for name, p := range n.portals {
		if p != but && p.statement == nil {
			n.putPortal(name, nil)
		}
	}
}

// doubt notes that a statement is on its way that could put others in the place of
// all named statements, and of all named portals but one. SQL can't say the empty name.
func (n *names) doubt(but *portal) {
	for name, p := range n.portals {
		if p != but && name != "" {
			p.doubtful = true
		}
	}
	for name, st := range n.statements {
		st.doubtful = st.doubtful || name != ""
	}
}

// rollBack forgets the cursors of a transaction, which a ROLLBACK, to a savepoint
// too, may have ended. Which portals of the protocol it has ended the server knows:
// nothing can take the place of one unnoticed.
func (n *names) rollBack() {
	for name, p := range n.portals {
		if !p.kept && p.statement == nil {
			n.putPortal(name, nil)
		}
	}
}
