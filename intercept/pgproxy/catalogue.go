package pgproxy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// A catalogue is what the gateway knows of the server's tables and views. It is
// immutable, but for what it remembers of statements resolved against it.
type catalogue struct {
	*contents
	lookupPath

	mu       sync.RWMutex
	resolved map[*sqlfacts.Query]*resolved
	// along are the same contents along other search paths, by their settings.
	along map[string]*catalogue
}

// contents are what catalogues along different search paths share.
type contents struct {
	loaded time.Time
	// changes is what its shelf had counted when the catalogue began to be loaded.
	changes uint64
	byOID   map[uint32]*relation
	byName  map[relationName]*relation
	// schemas are those in which the user may look names up, user is its name.
	schemas map[string]bool
	user    string
	// origin is where the search path of a new session comes from: it has another
	// text when that may be another path. start is what such a session begins with.
	origin, start string
	startKnown    bool
	// functions are those that users and extensions made, by their names with and
	// without schema in lower case; operators the names of operators that users and
	// extensions made, true for those that may do more than compute.
	functions map[string]function
	operators map[string]bool
	// casts are those that may run code of users.
	casts []*codeCast
	// hidesSettings says that another relation is called pg_settings.
	hidesSettings bool
	// builtins are the built-in functions by their names, with the strongest
	// volatility of each.
	builtins map[string]byte
	// domains are the columns that hold values of a domain.
	domains map[relationName][]reading
	// procedures are all functions by their OIDs, typeNames the names of their
	// arguments' types by the types' OIDs in decimal.
	procedures map[uint32]*procedure
	typeNames  map[string]string
	// analyze analyses the definitions of views.
	analyze analyzeFunc
	types   types
}

type analyzeFunc func(sql string) (*sqlfacts.Query, error)

type relationName struct{ schema, name string }

// A function stands for all functions of a name.
type function struct {
	// volatile says that one of them may store what it is given.
	volatile bool
	// own says that there is one that is not built in, definer that one runs with its
	// owner's rights. volatility is the strongest of all.
	own, definer bool
	volatility   byte
	// shadows says that one of them can be chosen in place of a built-in function
	// and may read tables.
	shadows bool
}

// A relation is a table, view, materialised view, foreign table or sequence.
type relation struct {
	relationName
	oid     uint32
	kind    byte
	columns map[int16]string
	// family are the tables that share rows with this one by inheritance or
	// partitioning, in either direction, itself left out.
	family []*relation
	// reads are the relations that a view's rule reads, other views expanded. The
	// server keeps no trace of which columns: a whole-row reference depends on
	// none of them.
	reads []*relation
	// view is what a view's definition says, nil where it can't be followed.
	view *view
	// blind says that a view reads through functions, which can't be followed.
	blind bool
	// runs are the functions of a view that may do more than read.
	runs []string
	// rewritten says that rules turn writes into other statements.
	rewritten bool
	// partitionKey are the columns that decide to which partition a row belongs.
	partitionKey []string
	// generated are the columns that generated columns are computed from.
	generated map[string][]string
}

func (r *relation) isView() bool { return r.kind == 'v' || r.kind == 'm' }

func (r *relation) has(column string) bool {
	for _, name := range r.columns {
		if name == column {
			return true
		}
	}
	return false
}

// lookup finds a relation as the server would: by its qualified name, or along the
// search path. Temporary tables come first in the server's search; the gateway sees
// them under the name that they hide.
func (c *catalogue) lookup(schema, name string) *relation {
	if schema != "" {
		return c.byName[relationName{schema, name}]
	}
	for _, schema := range c.schemasInOrder {
		if r := c.byName[relationName{schema, name}]; r != nil {
			return r
		}
	}
	return nil
}

// maxResolved bounds what a catalogue remembers, maxResolvedElsewhere what it does
// along a search path that sessions don't begin with; beyond it starts anew.
const (
	maxResolved          = 8192
	maxResolvedElsewhere = 1024
)

func (c *catalogue) remembered(q *sqlfacts.Query) *resolved {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.resolved[q]
}

func (c *catalogue) remember(q *sqlfacts.Query, r *resolved) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resolved == nil || len(c.resolved) >= maxResolved || c.setting != c.start && len(c.resolved) >= maxResolvedElsewhere {
		c.resolved = make(map[*sqlfacts.Query]*resolved)
	}
	c.resolved[q] = r
}

// A shelf holds the newest catalogue of one upstream user on one server, for all
// sessions.
type shelf struct {
	*alterations

	newest atomic.Pointer[catalogue]
	// stale says that something has been seen which the newest may not know.
	stale atomic.Bool
	// loads lets one session at a time load the catalogue while it connects; nil
	// lets each. refresh is the turn of the session that refreshes it.
	loads   chan struct{}
	refresh refreshTurn
}

// alterations are what sessions of one upstream user do to the catalogue, on whatever
// server: another may follow it.
type alterations struct {
	// changes counts what sessions have changed in the server's catalogue.
	changes atomic.Uint64
	// changing counts the sessions that have sent something which changes it, and
	// have not seen the end of their transaction.
	changing atomic.Int64
}

// inChange reports whether a session may be changing the catalogue now.
func (s *shelf) inChange() bool { return s.changing.Load() > 0 }

// moved reports whether c may no longer be what the server has.
func (s *shelf) moved(c *catalogue) bool { return s.inChange() || s.changes.Load() != c.changes }

// changesCatalogue notes that something is about to be sent which changes the
// server's catalogue. From here on nobody trusts the one on the shelf.
func (s *session) changesCatalogue() {
	if !s.catalogueChanged {
		s.catalogueChanged = true
		s.shelf.changing.Add(1)
	}
}

// othersChangeCatalogue reports whether another session may be changing the
// catalogue now.
func (s *session) othersChangeCatalogue() bool {
	own := int64(0)
	if s.catalogueChanged {
		own = 1
	}
	return s.shelf.changing.Load() > own
}

// catalogueSettled notes that the transaction has ended, one way or the other.
func (s *session) catalogueSettled() {
	if s.catalogueChanged {
		s.catalogueChanged = false
		s.shelf.changes.Add(1)
		s.shelf.changing.Add(-1)
	}
}

// catalogues holds a shelf for each upstream user on each server: what a search path
// means depends on the user, and where a new session's comes from; and what one server
// has another may not have yet, or never.
type catalogues struct {
	mu    sync.Mutex
	users map[string]*userShelves
}

// userShelves are the shelves of one user, by the servers' addresses.
type userShelves struct {
	alterations

	shelves map[string]*shelf
}

// maxShelfUsers and maxShelfServers bound what is remembered. Sources that make a user
// for each session would fill the first; beyond it shelves are not shared. Names that
// lead to ever new addresses would fill the second; beyond it a user's begin anew.
const (
	maxShelfUsers   = 256
	maxShelfServers = 64
)

// shelf returns the shelf of a user on the server with an address.
func (c *catalogues) shelf(user, address string) *shelf {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.users[user]
	if u == nil {
		u = &userShelves{shelves: make(map[string]*shelf)}
		if c.users == nil {
			c.users = make(map[string]*userShelves)
		}
		if len(c.users) < maxShelfUsers {
			c.users[user] = u
		}
	}
	s := u.shelves[address]
	if s == nil {
		if len(u.shelves) >= maxShelfServers {
			clear(u.shelves)
		}
		s = &shelf{alterations: &u.alterations, loads: make(chan struct{}, 1)}
		u.shelves[address] = s
	}
	return s
}

// A refreshTurn is with the one session that refreshes an aged catalogue. The zero
// turn is with nobody.
type refreshTurn struct {
	mu    sync.Mutex
	since time.Time
}

// maxTurn is how long a session keeps its turn: one that hangs must not keep the
// others on an old catalogue.
const maxTurn = 10 * time.Second

func (r *refreshTurn) take(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.since.IsZero() && now.Sub(r.since) < maxTurn {
		return false
	}
	r.since = now
	return true
}

func (r *refreshTurn) giveBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since = time.Time{}
}

// turn waits until it is the caller's turn to load the catalogue, which it is until
// it calls done. Nil says that there is nothing to load: it is good enough, or
// somebody else is at it and an old one will do meanwhile.
func (s *shelf) turn(ctx context.Context, maxAge time.Duration) (done func(), err error) {
	now := time.Now()
	if !s.due(now, maxAge) {
		return nil, nil
	}
	if !s.outdated() {
		if !s.refresh.take(now) {
			return nil, nil
		}
		return s.refresh.giveBack, nil
	}
	if s.loads == nil {
		return func() {}, nil
	}
	select {
	case s.loads <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("pgproxy: catalogue: %w", context.Cause(ctx))
	}
	if !s.due(time.Now(), maxAge) { // who was before has done it
		<-s.loads
		return nil, nil
	}
	return func() { <-s.loads }, nil
}

// minRefresh bounds how often statements with unknown names make the gateway ask
// the server again.
const minRefresh = time.Second

// due reports whether the catalogue should be loaded again.
func (s *shelf) due(now time.Time, maxAge time.Duration) bool {
	if s.outdated() {
		return true
	}
	age := now.Sub(s.newest.Load().loaded)
	return age > maxAge || s.stale.Load() && age > minRefresh
}

// outdated reports whether the newest catalogue is known to be wrong: a session
// has changed the server's since the newest began to be loaded.
func (s *shelf) outdated() bool {
	c := s.newest.Load()
	return c == nil || c.changes != s.changes.Load()
}

// begin says that the catalogue is about to be loaded. It returns what put wants:
// what changes from here on makes another load due.
func (s *shelf) begin() (changes uint64) {
	s.stale.Store(false)
	return s.changes.Load()
}

// put shelves what was loaded.
func (s *shelf) put(c *catalogue, changes uint64) {
	c.changes = changes
	s.newest.Store(c)
}
