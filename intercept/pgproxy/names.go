package pgproxy

import "github.com/headgate/gateway/policy"

// A statement is a prepared statement. Statements of the extended protocol and
// of SQL's PREPARE share one name space, in the server and here.
type statement struct {
	// text is what was parsed, query its analysis.
	text  string
	query *resolved
	// layout is the body of the statement's RowDescription, once it is known. It
	// belongs to the statement: it outlives every batch.
	layout []byte
	mark
}

// A portal is a bound statement or an SQL cursor.
type portal struct {
	statement *statement
	run       *execution
	// formats are the result formats of Bind.
	formats []int16
	// described says that a RowDescription of the portal is on its way or here.
	described bool
	// command is what was judged when the portal was bound.
	command *policy.Command
	// cursor is what an SQL cursor reads; then statement and run are nil.
	cursor *traced
	mark
}

// describe notes that a RowDescription of the portal has been asked for, and
// returns how to take that back.
func (p *portal) describe() func() {
	before := p.described
	p.described = true
	return func() { p.described = before }
}

// A mark says in which batch a name was given a meaning and whether the server
// has confirmed it.
type mark struct {
	batch     uint64
	confirmed bool
}

// settled reports whether the meaning can be relied upon in a batch. Within its
// own batch it can, confirmed or not: if the server fails it, it skips the rest
// of the batch. A later batch must wait until the answer is known, for if the
// server failed it, the name still means what it meant before.
func (m mark) settled(batch uint64) bool { return m.confirmed || m.batch == batch }

// names is what a session's prepared statements and portals are called.
type names struct {
	statements map[string]*statement
	portals    map[string]*portal
	limit      int
}

func (n *names) full() bool { return len(n.statements)+len(n.portals) >= n.limit }

// setStatement gives a name a meaning, nil for none, and returns how to take it
// back.
func (n *names) setStatement(name string, s *statement) func() { return set(&n.statements, name, s) }

// setPortal does the same for portals.
func (n *names) setPortal(name string, p *portal) func() { return set(&n.portals, name, p) }

func set[T any](m *map[string]*T, name string, v *T) func() {
	if *m == nil {
		*m = make(map[string]*T)
	}
	before, had := (*m)[name]
	if v == nil {
		delete(*m, name)
	} else {
		(*m)[name] = v
	}
	return func() {
		if had {
			(*m)[name] = before
		} else {
			delete(*m, name)
		}
	}
}

// endTransaction forgets the portals that end with a transaction: all that were
// made in a batch that has been answered.
func (n *names) endTransaction(answered uint64) {
	for name, p := range n.portals {
		if p.batch <= answered && !p.holds() {
			delete(n.portals, name)
		}
	}
}

// holds reports whether the portal is a cursor that may outlive its transaction.
func (p *portal) holds() bool { return p.statement == nil }
