package approve

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/headgate/gateway/policy"
)

// ticketView is the JSON form of a Ticket for approvers: all that the digest
// covers, and what helps to judge it.
type ticketView struct {
	ID         string         `json:"id"`
	State      State          `json:"state"`
	Digest     string         `json:"digest,omitempty"` // not in summaries: who decides must have read the whole
	Principals []policy.Actor `json:"principals"`
	Target     *policy.Target `json:"target"`
	Session    sessionView    `json:"session"`
	Command    *commandView   `json:"command,omitempty"` // absent once the request has ended
	Reasons    []reasonView   `json:"reasons"`
	Revision   string         `json:"revision,omitempty"`
	Waiting    int            `json:"waiting"`
	Created    time.Time      `json:"created"`
	Expires    time.Time      `json:"expires"`
	Ruling     *rulingView    `json:"ruling,omitempty"`
}

type sessionView struct {
	ID     string `json:"id"`
	Client string `json:"client,omitempty"`
}

type commandView struct {
	Action string `json:"action"`
	Text   string `json:"text"`
	// TextBase64 is the exact text where Text can't be, because it is not UTF-8.
	TextBase64 string          `json:"text_base64,omitempty"`
	Truncated  bool            `json:"truncated,omitempty"`
	Params     []policy.Param  `json:"params,omitempty"`
	Effects    []policy.Effect `json:"effects,omitempty"`
	Opaque     []string        `json:"opaque,omitempty"`
	// HiddenCharacters says that text or parameters hold characters that don't
	// show as they are: controls, bidirectional overrides, zero-width ones.
	HiddenCharacters bool `json:"hidden_characters"`
}

type reasonView struct {
	Rule      string   `json:"rule"`
	Message   string   `json:"message"`
	Hint      string   `json:"hint,omitempty"`
	Approvers []string `json:"approvers,omitempty"`
}

type rulingView struct {
	Granted  bool         `json:"granted"`
	Approver policy.Actor `json:"approver"`
	Reason   string       `json:"reason,omitempty"`
	At       time.Time    `json:"at"`
	UsesLeft int          `json:"uses_left"`
	Until    time.Time    `json:"until,omitzero"`
	Session  bool         `json:"session,omitempty"`
}

func viewOf(t *Ticket) ticketView {
	in := t.Request.Input
	v := ticketView{
		ID: t.ID, State: t.State, Digest: t.Request.Digest, Principals: in.Identity.Principals(), Target: in.Target,
		Session: sessionView{ID: t.Session()}, Reasons: []reasonView{}, Revision: t.Request.Revision,
		Waiting: t.Waiting, Created: t.Created, Expires: t.Expires,
	}
	if in.Session != nil {
		v.Session.Client = in.Session.Client
	}
	if in.Command != nil {
		v.Command = commandViewOf(in.Command)
	}
	for _, r := range t.Request.Reasons {
		v.Reasons = append(v.Reasons, reasonView{r.Rule, r.Message, r.Hint, r.Approvers})
	}
	if r := t.Ruling; !r.At.IsZero() {
		v.Ruling = &rulingView{
			Granted: r.Granted, Approver: policy.Actor{Subject: r.Approver.Subject, Issuer: r.Approver.Issuer},
			Reason: r.Reason, At: r.At, UsesLeft: t.UsesLeft, Until: t.Until, Session: r.Scope.Session,
		}
	}
	return v
}

func commandViewOf(c *policy.Command) *commandView {
	v := &commandView{Action: c.Action, Text: c.Text, Params: c.Params}
	if !utf8.ValidString(c.Text) {
		v.TextBase64 = base64.StdEncoding.EncodeToString([]byte(c.Text))
	}
	if c.Facts != nil {
		v.Effects, v.Opaque = c.Effects, c.Opaque
	}
	v.HiddenCharacters = hides(c.Text) || slices.ContainsFunc(c.Params, func(p policy.Param) bool { return hides(p.Value) })
	return v
}

// summaryBytes bounds the text in a summary.
const summaryBytes = 200

// summaryOf leaves out what is long, and the digest with it.
func summaryOf(t *Ticket) ticketView {
	v := viewOf(t)
	v.Digest = ""
	if c := v.Command; c != nil {
		c.TextBase64, c.Params, c.Effects, c.Opaque = "", nil, nil, nil
		if len(c.Text) > summaryBytes {
			c.Truncated = true
			c.Text = strings.ToValidUTF8(c.Text[:summaryBytes], "")
		}
	}
	return v
}

// hides reports whether s has characters that a screen does not show as they are.
func hides(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && r != '\t'
	})
}

func writeError(w http.ResponseWriter, err error) {
	e := answerTo(err)
	if e.allow != "" {
		w.Header().Set("Allow", e.allow)
	}
	writeJSON(w, e.status, struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{e.code, e.message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	doc, err := json.Marshal(body) // escapes <, > and &
	if err != nil {
		status, doc = http.StatusInternalServerError, []byte(`{"code":"internal","message":"the answer has no JSON form"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address holds the id
	w.WriteHeader(status)
	_, _ = w.Write(append(escape(doc), '\n')) // a client that is gone can't be told
}

// escape writes everything in a JSON document that is not printable ASCII as a
// \u escape. Outside of strings a document has no such character, but for the
// white space that json.Marshal does not write.
func escape(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	for _, r := range string(doc) {
		switch {
		case r >= ' ' && r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
