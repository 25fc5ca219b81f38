package intercept

import (
	"encoding/json"

	"github.com/headgate/gateway/policy"
)

// A Verdict says whether a command goes on. There are two answers: forward it as
// it was judged, or refuse it with Refusal. The zero Verdict refuses.
type Verdict struct {
	// Forward says that the command, exactly as judged, may be sent.
	Forward bool
	// Refusal is what the client is told when Forward is false. A zero Verdict
	// has none; use Refused, which always returns one.
	Refusal *Refusal
	// Masks must be applied to whatever the command returns. Read-only; equal
	// decisions share one slice.
	Masks []policy.Mask
	// Limit bounds what the command may return and how long it may take; nil means
	// not at all. Read-only. Its rate of commands has been seen to. See
	// Guard.EnforcesLimits.
	Limit *policy.Limit
	// Revision identifies the policy that judged.
	Revision string
	// Sequence is the command's number in the session's record.
	Sequence uint64
}

// Refused returns what to tell the client of a Verdict that does not forward.
func (v Verdict) Refused() *Refusal {
	if v.Refusal == nil {
		return &Refusal{Code: CodeInternal, Reason: "no verdict was reached"}
	}
	return v.Refusal
}

// The codes of refusals: part of the public contract, the same on every protocol.
const (
	CodeDenied           = "policy_denied"     // a rule denied, or no rule allowed
	CodePolicyError      = "policy_error"      // the policy failed or timed out
	CodeApprovalRefused  = "approval_refused"  // a human said no
	CodeApprovalExpired  = "approval_expired"  // nobody answered in time
	CodeApprovalCanceled = "approval_canceled" // the client gave up waiting
	CodeUnparsable       = "unparsable"        // the gateway could not parse it
	CodeTooLarge         = "too_large"         // beyond a configured limit
	CodeUnsupported      = "unsupported"       // the gateway does not carry this
	CodeUnmaskable       = "unmaskable"        // the answer could not be masked
	CodeSessionEnded     = "session_ended"     // expired, revoked or shut down
	CodeRecorder         = "recorder_failed"   // the record could not be kept
	CodeUnauthenticated  = "unauthenticated"   // no valid proof of identity
	CodeUpstream         = "upstream_failed"   // the upstream could not be reached
	CodeInternal         = "internal"          // a fault of the gateway
	CodeLimitExceeded    = "limit_exceeded"    // the policy's limit of rows, bytes or time
	CodeRateLimited      = "rate_limited"      // the policy's limit of commands per minute
)

// A Refusal is the machine-readable object that accompanies every refusal, on
// every protocol. Everything in it may be shown to the client.
type Refusal struct { //nolint:errname // an answer first, an error in rare places
	// Code is one of the Code constants.
	Code string `json:"code"`
	// Rule is the policy rule that decided, if one did.
	Rule string `json:"rule,omitempty"`
	// Reason says why, in one sentence.
	Reason string `json:"reason"`
	// Retryable says that the same command may succeed later.
	Retryable bool `json:"retryable"`
	// RetryAfter is in how many seconds it may, if that is known.
	RetryAfter int `json:"retry_after,omitempty"`
	// ApprovalURL is where the command can be approved.
	ApprovalURL string `json:"approval_url,omitempty"`
	// Hint says what would be accepted instead.
	Hint string `json:"hint,omitempty"`

	cause error
}

// Unwrap returns the fault behind the refusal, nil if there was none. It is for
// the host's log, not for the client.
func (r *Refusal) Unwrap() error { return r.cause }

// JSON returns the object as one line of JSON.
func (r *Refusal) JSON() string {
	b, err := json.Marshal(r)
	if err != nil {
		return `{"code":"internal","reason":"refusal could not be encoded","retryable":false}`
	}
	return string(b)
}

// Error makes a Refusal an error for the rare places where a refusal ends a
// session rather than answers a command.
func (r *Refusal) Error() string { return "refused: " + r.Code + ": " + r.Reason }
