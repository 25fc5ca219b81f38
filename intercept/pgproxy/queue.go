package pgproxy

import (
	"sync"

	"github.com/headgate/gateway/intercept"
)

// An entry is one message that was sent to the server and whose answer has not
// been seen to its end. The server answers in order, so the head of the queue is
// what it is busy with.
type entry struct {
	// kind is the type of the message: Query, FunctionCall, Parse, Bind, Describe,
	// Execute, Close or Sync.
	kind byte
	// refusal is set where a failing message was sent in place of the client's:
	// the server's error is rewritten into the refusal.
	refusal *intercept.Refusal
	// hidden says that the gateway sent it for itself: the answer is swallowed.
	hidden bool
	// collect takes the answer of a hidden Query.
	collect *collector

	// judged says that verdict is of this entry and wants a Result.
	judged  bool
	verdict intercept.Verdict
	// run is what produces rows or errors, nil where nothing runs.
	run *execution
	// statement is what Parse and Describe are about, portal what Bind, Describe
	// and Execute are about.
	statement *statement
	portal    *portal
	// renames counts the statements that change names in SQL, as PREPARE does;
	// what they did is known when they are complete.
	renames int
	// unseen counts the statements that run code which could change names, too.
	unseen int
	// path takes the answer of a hidden question for the search path; leaving says that
	// a transaction may end.
	path    *pathQuestion
	leaving bool
	// complaint, if set, is what the client is told in place of refusal.
	complaint *complaint
	// status is the last command tag of a Query, or says that a function has returned.
	status string
	// undo takes back what the message did to the session's names. batch is when
	// it was sent.
	undo  func()
	batch uint64

	// copyIn is the message's number in copyIn.serial, zero for one that can't make
	// the server ask for rows. copying says that the server sends rows of a COPY,
	// heading that the next is a line of names.
	copyIn           uint64
	copying, heading bool
	// copied is whose COPY a hidden message asks about, describing the places of those
	// that have not been described; closes counts the answers to Close of the first.
	copied     *execution
	describing []int
	closes     int

	// stream is what a command of replication makes the two sides send.
	stream streamKind

	rows  int64
	bytes int64
	// weight is the length of the message.
	weight int

	// limited says that nothing behind the entry is sent before it is answered:
	// its command has a limit. serial is its number among those.
	limited bool
	serial  uint64
	// over is the limit that was exceeded; withheld says that nothing of the answer
	// is released any more.
	over     *intercept.Refusal
	withheld bool
	// wrapped says that the gateway has begun a transaction around a Query; bracket
	// marks what begins and ends it, last what ends it, rollsBack a ROLLBACK.
	wrapped, bracket, last, rollsBack bool
}

// queue is a ring of entries. An empty one holds none: sessions are idle most of the
// time, and an entry is long.
type queue struct {
	ring       []entry
	head, size int
	// popped counts the entries that have left.
	popped uint64
	// lent is what ring came from rings in.
	lent *[]entry
}

// rings holds empty rings for whoever has a message on its way.
var rings = sync.Pool{New: func() any { r := make([]entry, smallRing); return &r }}

// Rings begin with smallRing entries. Those beyond largeRing are not kept.
const (
	smallRing = 16
	largeRing = 1024
)

func (q *queue) push(e entry) {
	if q.size == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.size)%len(q.ring)] = e
	q.size++
}

func (q *queue) grow() {
	if q.ring == nil {
		q.lent, _ = rings.Get().(*[]entry)
		q.ring, q.head = *q.lent, 0
		return
	}
	next := make([]entry, 2*len(q.ring))
	for i := range q.size {
		next[i] = *q.at(i)
	}
	clear(q.ring)
	*q.lent, q.ring, q.head = next, next, 0
}

// giveBack returns the ring of an empty queue, whose entries are all cleared.
func (q *queue) giveBack() {
	if len(q.ring) <= largeRing {
		rings.Put(q.lent)
	}
	q.ring, q.lent = nil, nil
}

// at returns the i-th entry from the head.
func (q *queue) at(i int) *entry { return &q.ring[(q.head+i)%len(q.ring)] }

// front returns the head, nil for an empty queue.
func (q *queue) front() *entry {
	if q.size == 0 {
		return nil
	}
	return q.at(0)
}

func (q *queue) pop() {
	*q.at(0) = entry{}
	q.head = (q.head + 1) % len(q.ring)
	q.popped++
	if q.size--; q.size == 0 {
		q.giveBack()
	}
}

// abort drops the head and everything up to the next Sync, which the server skips
// after an error in the extended protocol, and takes back what they did to names.
// skipped is called for each. It reports whether that Sync is in the queue.
func (q *queue) abort(skipped func(*entry)) bool {
	n := 0
	for n < q.size && q.at(n).kind != msgSync {
		n++
	}
	for i := n - 1; i >= 0; i-- {
		if undo := q.at(i).undo; undo != nil {
			undo()
		}
	}
	for i := range n {
		skipped(q.at(i))
	}
	for range n {
		q.pop()
	}
	return q.size > 0
}
