package policy

import "time"

// An Input is the question put to a policy. Its JSON form is the input document
// of the Rego contract. Pointers may be nil: a policy sees an absent field, and
// rules that need it are undefined.
type Input struct {
	Identity *Identity `json:"identity"`
	Target   *Target   `json:"target"`
	Session  *Session  `json:"session"`
	Command  *Command  `json:"command"`
	// Approval is set only when a granted approval is being redeemed.
	Approval *Approval `json:"approval,omitempty"`
}

// An Identity is a verified principal. It comes from a verifier's result and
// never from what a client claims about itself.
type Identity struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	// Method names how it was proven: "oidc", "static", "mtls", "saml".
	Method string         `json:"method"`
	Groups []string       `json:"groups,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`
	// Actors is the delegation chain of RFC 8693 §4.1, the current actor first:
	// the parties that act on the subject's behalf.
	Actors []Actor `json:"actors,omitempty"`
	// Expires is when the proof ends; zero means that it does not. A session does
	// not outlive it.
	Expires time.Time `json:"expires,omitzero"`
}

// An Actor is one party of a delegation chain.
type Actor struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer,omitempty"`
}

// Principals returns every party of the identity's chain, the subject first. An
// actor without an issuer of its own has the identity's.
func (id *Identity) Principals() []Actor {
	if id == nil {
		return nil
	}
	out := make([]Actor, 0, 1+len(id.Actors))
	out = append(out, Actor{Subject: id.Subject, Issuer: id.Issuer})
	for _, a := range id.Actors {
		if a.Issuer == "" {
			a.Issuer = id.Issuer
		}
		out = append(out, a)
	}
	return out
}

// A Target is what a route leads to.
type Target struct {
	Name     string            `json:"name"`
	Protocol string            `json:"protocol"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// A Session is one connection of a principal to a target. Each Input holds a
// snapshot.
type Session struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	// Client is the peer's network address, "" where there is none.
	Client   string            `json:"client,omitempty"`
	Counters Counters          `json:"counters"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Counters count what a session has done so far.
type Counters struct {
	Commands int64 `json:"commands"`
	Denied   int64 `json:"denied"`
	Approved int64 `json:"approved"`
	Rows     int64 `json:"rows"`
	Bytes    int64 `json:"bytes"`
}

// The actions of commands.
const (
	ActionConnect = "connect" // open the session
	ActionQuery   = "query"   // run SQL text
	// ActionPrepare sends a statement to be parsed, not run. A policy's Ask lets
	// it pass: the question is put when the statement is run.
	ActionPrepare = "prepare"
	ActionExecute = "execute" // run a prepared statement with its parameters
)

// A Command is one request of the agent, as it will be sent.
type Command struct {
	// Action is one of the Action constants or a third party protocol's own.
	Action string `json:"action"`
	// Text is the exact text of the command.
	Text string `json:"text"`
	// Params are the values bound to the command, as far as they are readable.
	Params []Param `json:"params,omitempty"`
	// Facts is what analysis found. Nil means that nothing is known, which a
	// policy sees as undefined effects.
	*Facts
}

// A Param is a bound parameter. Null and binary values are marked, so that "" and
// NULL differ in a digest; Value of a binary parameter is in hexadecimal.
type Param struct {
	Value  string `json:"value"`
	Null   bool   `json:"null,omitempty"`
	Binary bool   `json:"binary,omitempty"`
}

// Facts is what analysis found out about a command. Facts are shared between all
// commands of the same shape and are never changed.
type Facts struct {
	// Effects is what the command would do.
	Effects []Effect `json:"effects"`
	// Opaque lists why Effects may be incomplete. Policies should refuse commands
	// for which it is not empty.
	Opaque []string `json:"opaque"`
	// SQL is the detail of a PostgreSQL command.
	SQL *SQL `json:"sql,omitempty"`
}

// The verbs of effects, the same on every protocol.
const (
	VerbRead     = "read"
	VerbCreate   = "create"
	VerbUpdate   = "update"
	VerbDelete   = "delete"
	VerbDefine   = "define"
	VerbGrant    = "grant"
	VerbExecute  = "execute"
	VerbConnect  = "connect"
	VerbTransfer = "transfer"
)

// An Effect is one thing that a command does to one object.
type Effect struct {
	Verb string `json:"verb"`
	// Kind is what sort of object: "table", "function", "setting", "session", …
	Kind string `json:"kind"`
	// Name is the object's name, qualified where the analysis could tell.
	Name string `json:"name"`
	// Columns are the columns read or written, ["*"] for all.
	Columns []string `json:"columns,omitempty"`
	// Filtered are the columns that decide which rows are met or in which order.
	Filtered []string `json:"filtered,omitempty"`
}

// SQL is the detail of a PostgreSQL command.
type SQL struct {
	Statements []SQLStatement `json:"statements"`
	// SearchPath is the session's search_path, along which names without a schema
	// were looked up: the same text is another command along another path.
	SearchPath string `json:"search_path,omitempty"`
}

// An SQLStatement is one statement of a command's text.
type SQLStatement struct {
	// Tag is the statement's kind in the words of its command tag, as "SELECT",
	// "DROP TABLE".
	Tag string `json:"tag"`
	// Where says that an UPDATE, DELETE or SELECT has a WHERE clause.
	Where bool `json:"where"`
	// Functions are the functions called, as written and in lower case.
	Functions []string `json:"functions,omitempty"`
	// Calls says what is known of each of the functions.
	Calls []SQLCall `json:"calls,omitempty"`
}

// An SQLCall is what is known of the functions of one name that a statement calls.
// The server chooses among them by the types of the arguments; the facts are those
// of the one that may do most.
type SQLCall struct {
	// Name is as in SQLStatement.Functions.
	Name string `json:"name"`
	// Volatility is "immutable", "stable" or "volatile", and "" for a function that
	// the server's catalogue did not have.
	Volatility string `json:"volatility"`
	// SecurityDefiner says that one runs with the rights of its owner.
	SecurityDefiner bool `json:"security_definer"`
	// Builtin says that the name has built-in functions only.
	Builtin bool `json:"builtin"`
}

// An Approval is a granted approval, as a policy sees it when the grant is
// redeemed.
type Approval struct {
	ID        string    `json:"id"`
	Approver  string    `json:"approver"`
	Groups    []string  `json:"groups,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	GrantedAt time.Time `json:"granted_at"`
}
