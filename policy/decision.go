package policy

import (
	"reflect"
	"slices"
	"time"
)

// A Decision is what a policy says about one command. The zero Decision denies.
//
// Decisions are shared between sessions by evaluators that remember them: treat
// the slices and maps as read-only.
type Decision struct {
	// Outcome is Deny, Ask or Allow.
	Outcome Outcome `json:"outcome"`
	// Reasons says which rules led to Deny or Ask. The first is the one shown to
	// the client.
	Reasons []Reason `json:"reasons,omitempty"`
	// Masks are the values that must be masked in the answer.
	Masks []Mask `json:"masks,omitempty"`
	// Limit bounds the answer; nil means no limit by policy.
	Limit *Limit `json:"limit,omitempty"`
	// Labels are added to the session.
	Labels map[string]string `json:"labels,omitempty"`
	// Revision identifies the policy that decided. Approvals bind to it.
	Revision string `json:"revision,omitempty"`
}

// A Reason is one rule that denied or asked.
type Reason struct {
	// Rule is the rule's stable identifier, for instance "no-ddl".
	Rule string `json:"rule"`
	// Message says why, to a human or an agent. It is shown to the client.
	Message string `json:"message"`
	// Hint says what would be accepted instead, if the rule knows.
	Hint string `json:"hint,omitempty"`
	// Approvers are the groups of which one must contain whoever approves.
	// Empty means that any approver who is not the requester may. Only for Ask.
	Approvers []string `json:"approvers,omitempty"`
	// Expires bounds the wait for an answer; zero means the approver's default.
	// Only for Ask.
	Expires time.Duration `json:"expires,omitempty"`
}

// A Mask names values to be masked and how.
type Mask struct {
	// Table is the relation's qualified name, "schema.table". A "*" for either
	// part matches all.
	Table string `json:"table"`
	// Column is the column's name, or "*" for each.
	Column string `json:"column"`
	// Method is the name of a masking method: "redact", "partial", "email",
	// "hash", "null" or "fake".
	Method string `json:"method"`
	// Keep is the number of trailing characters that "partial" leaves readable,
	// at most half of the text.
	Keep int `json:"keep,omitempty"`
	// Detect, where not empty, makes the mask be about what is found in text: of
	// these kinds, as "email", "card" or "secret", or "all". The method is then
	// applied to what is found, and the rest of the value stays; "null" makes the
	// whole value NULL. Where a mask without Detect matches as well, that one
	// counts.
	Detect []string `json:"detect,omitempty"`
	// Filter says what becomes of a command in which the column decides which rows
	// are met or in which order, by a condition, a join, a group or a sort: MaskAllow,
	// which "" stands for too, or MaskRefuse. Masks with Detect have neither this nor
	// Untraced.
	Filter string `json:"filter,omitempty"`
	// Untraced says what becomes of values whose origin can't be told while this
	// column is in reach: MaskWhole, which "" stands for too, or MaskRefuse.
	Untraced string `json:"untraced,omitempty"`
}

// Equal reports whether two masks say the same.
func (m Mask) Equal(other Mask) bool {
	detect := slices.Equal(m.Detect, other.Detect)
	m.Detect, other.Detect = nil, nil
	return detect && reflect.DeepEqual(m, other)
}

// The choices of a Mask beside its method.
const (
	MaskAllow  = "allow"  // Filter: the command is carried
	MaskWhole  = "mask"   // Untraced: the values are masked whole
	MaskRefuse = "refuse" // either: the command, or its answer, is refused
)

// A Limit bounds what one command may return. Zero fields are unlimited.
type Limit struct {
	Rows    int64         `json:"rows,omitempty"`
	Bytes   int64         `json:"bytes,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
	// CommandsPerMinute bounds the session's rate.
	CommandsPerMinute int64 `json:"commands_per_minute,omitempty"`
}
