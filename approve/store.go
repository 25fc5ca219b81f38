package approve

import (
	"context"
	"time"

	"github.com/headgate/gateway/policy"
)

// A Store keeps tickets. Each method is one atomic step: of any calls at the same
// time, on one machine or several, the outcome is as if they had come one after
// the other. Engine relies on that alone, and package approvetest checks it.
//
// Times that are passed in come from the Engine's clock. A Store that several
// machines share may use a clock of its own instead, for all methods alike. A
// pending ticket whose Expires has come is expired, and a grant whose Until has
// come is used, whether or not the Store has noted it yet.
//
// A Store must keep every pending and standing ticket, and ended ones long enough
// to tell an approver who comes late why: a few minutes at least. Tickets that it
// returns are copies; the Request in them is read-only. Methods return ErrUnknown
// for an id that they don't know, and honour ctx.
type Store interface {
	// Open brings in a call: t is pending, has one call waiting and was created
	// now. If a ticket covers the call (see Ticket.Covers), one of its uses is
	// taken. Otherwise, if the call may wait for a pending ticket (see
	// Ticket.Joinable), it joins those that do. Otherwise t is added. Joining and
	// adding fail with ErrOverloaded where limits would be passed.
	Open(ctx context.Context, t Ticket, limits Limits) (Ticket, Opening, error)
	// Wait blocks until the ticket is not pending any more or ctx is done. It
	// need not notice by itself that a ticket expires.
	Wait(ctx context.Context, id string) error
	// Redeem ends the wait of one call and takes a use for it. It returns the
	// ticket together with an error that says why there is none: ErrUsedUp,
	// ErrRefused, ErrRevoked, ErrWithdrawn, or ErrExpired if it is pending still. A
	// ticket that stays pending with nobody waiting is withdrawn.
	Redeem(ctx context.Context, id string, now time.Time) (Ticket, error)
	// Leave ends the wait of one call without an answer. A pending ticket that
	// nobody waits for is withdrawn.
	Leave(ctx context.Context, id string, now time.Time) error
	// Decide answers a pending ticket. It fails with ErrDigest if r is about
	// another digest, and with ErrDecided, ErrExpired or ErrWithdrawn if the ticket
	// is not pending. A grant has r.Scope.Uses uses, at least one. With a
	// Scope.For its Until is r.At plus that; without, it has no more uses than
	// calls are waiting.
	Decide(ctx context.Context, id string, r Ruling) (Ticket, error)
	// Revoke takes back what is left of a grant. It fails with ErrDecided if
	// nothing is.
	Revoke(ctx context.Context, id string, by policy.Identity, now time.Time) (Ticket, error)
	// Get returns one ticket.
	Get(ctx context.Context, id string, now time.Time) (Ticket, error)
	// List returns what is pending and what is standing, the oldest first.
	List(ctx context.Context, now time.Time) ([]Ticket, error)
}

// Opening says what Store.Open has done with a call. Its zero value is invalid.
type Opening uint8

// The openings.
const (
	Redeemed Opening = iota + 1 // it has had a use of a standing grant
	Joined                      // it waits with identical calls
	Added                       // it waits for a ticket of its own
)

// Limits bound how many calls may wait. All must be positive.
type Limits struct {
	Total        int // in the store
	PerPrincipal int // of one Ticket.Principal
	PerSession   int // of one Ticket.Session
}
