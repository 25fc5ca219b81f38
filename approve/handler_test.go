package approve_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/approve/approvetest"
	"github.com/headgate/gateway/policy"
)

// byHeader takes the caller's word for who it is.
func byHeader(r *http.Request) (policy.Identity, error) {
	user := r.Header.Get("User")
	if user == "" {
		return policy.Identity{}, errors.New("secret detail")
	}
	return policy.Identity{Subject: user, Issuer: "https://idp", Groups: r.Header["Group"]}, nil
}

// pendingCall is a call that waits behind a handler.
type pendingCall struct {
	t       *testing.T
	engine  *approve.Engine
	handler http.Handler
	id      string
	digest  string
	ended   chan error
}

func waiting(t *testing.T, cfg approve.Config, req approve.Request) *pendingCall {
	t.Helper()
	e := engine(t, cfg)
	c := &pendingCall{t: t, engine: e, handler: e.Handler(byHeader), digest: req.Digest, ended: make(chan error, 1)}
	waits := make(chan approve.Pending, 1)
	go func() {
		_, err := e.Approve(t.Context(), req, func(p approve.Pending) { waits <- p })
		c.ended <- err
	}()
	select {
	case p := <-waits:
		c.id = p.ID
	case err := <-c.ended:
		t.Fatal(err)
	}
	return c
}

// call sends a request as bob unless header says otherwise, checks the headers
// of every answer, and returns it.
func (c *pendingCall) call(method, path, body string, header ...string) (int, string) {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("User", "bob")
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := w.Header().Get(name); got != want {
			c.t.Errorf("%s %s: %s is %q", method, path, name, got)
		}
	}
	answer, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if !json.Valid(answer) {
		c.t.Errorf("%s %s: the answer is not JSON: %q", method, path, answer)
	}
	return w.Code, string(answer)
}

// refused checks that a call is answered with the status and the code.
func (c *pendingCall) refused(status int, code string, method, path, body string, header ...string) {
	c.t.Helper()
	got, answer := c.call(method, path, body, header...)
	var e struct{ Code, Message string }
	if err := json.Unmarshal([]byte(answer), &e); err != nil || got != status || e.Code != code || e.Message == "" {
		c.t.Errorf("%s %s %q %q: got %d %s, want %d %s", method, path, body, header, got, answer, status, code)
	}
	if strings.Contains(answer, "secret detail") {
		c.t.Errorf("the answer shows an error: %s", answer)
	}
}

func (c *pendingCall) decision() string { return c.decisionWith(`"grant"`, "") }

func (c *pendingCall) decisionWith(decision, more string) string {
	return `{"decision":` + decision + `,"digest":"` + c.digest + `"` + more + `}`
}

func (c *pendingCall) decidePath() string { return "/requests/" + c.id + "/decide" }

func TestHandlerShowsAndDecides(t *testing.T) {
	req := approvetest.Request(t, "s1", "DROP TABLE x")
	req.Input.Command.Facts = &policy.Facts{Effects: []policy.Effect{{Verb: policy.VerbDefine, Kind: "table", Name: "x"}}, Opaque: []string{"a DO block"}}
	req.Digest, _ = policy.ActionDigest(req.Input, req.Revision)
	c := waiting(t, approve.Config{MaxScopeUses: 3, MaxScopeFor: time.Hour}, req)
	status, list := c.call("GET", "/requests", "")
	if status != 200 || !strings.Contains(list, c.id) || strings.Contains(list, c.digest) {
		t.Errorf("list: %d %s", status, list)
	}
	status, one := c.call("GET", "/requests/"+c.id, "")
	for _, want := range []string{
		`"digest":"` + c.digest + `"`, `"text":"DROP TABLE x"`, `"principals":[{"subject":"alice","issuer":"https://idp"},{"subject":"agent-7","issuer":"https://idp"}]`,
		`"verb":"define"`, `"a DO block"`, `"rule":"no-ddl"`, `"revision":"r1"`, `"state":"pending"`, `"waiting":1`, `"hidden_characters":false`,
	} {
		if status != 200 || !strings.Contains(one, want) {
			t.Errorf("request: %d, no %s in %s", status, want, one)
		}
	}
	status, answer := c.call("POST", c.decidePath(), c.decisionWith(`"grant"`, `,"reason":"ok","scope":{"uses":2,"for":"10m","session":true}`))
	if status != 200 || !strings.Contains(answer, `"state":"granted"`) || !strings.Contains(answer, `"subject":"bob"`) {
		t.Errorf("decide: %d %s", status, answer)
	}
	if err := <-c.ended; err != nil {
		t.Errorf("the call ended with %v", err)
	}
	if _, grants := c.call("GET", "/grants", ""); !strings.Contains(grants, c.id) || !strings.Contains(grants, `"uses_left":1`) {
		t.Errorf("grants: %s", grants)
	}
	if _, list := c.call("GET", "/requests", ""); list != "{\"requests\":[]}\n" {
		t.Errorf("list: %s", list)
	}
	c.refused(409, "already_decided", "POST", c.decidePath(), c.decision())
	c.refused(403, "self_approval", "POST", "/grants/"+c.id+"/revoke", "{}", "User", "alice")
	if status, answer := c.call("POST", "/grants/"+c.id+"/revoke", "{}"); status != 200 || !strings.Contains(answer, `"state":"revoked"`) {
		t.Errorf("revoke: %d %s", status, answer)
	}
	c.refused(409, "already_decided", "POST", "/grants/"+c.id+"/revoke", "{}")
}

func TestHandlerRefuses(t *testing.T) {
	c := waiting(t, approve.Config{}, approvetest.Request(t, "s1", "x"))
	one, decide := "/requests/"+c.id, c.decidePath()
	const form = "application/x-www-form-urlencoded"
	c.refused(401, "unauthenticated", "GET", "/requests", "", "User", "")
	c.refused(401, "unauthenticated", "GET", "/nowhere", "", "User", "")
	c.refused(401, "unauthenticated", "POST", decide, c.decision(), "User", "")
	c.refused(404, "not_found", "GET", "/nowhere", "")
	c.refused(404, "not_found", "GET", "/requests/unknown", "")
	c.refused(404, "not_found", "POST", "/requests/unknown/decide", c.decision())
	c.refused(404, "not_found", "POST", "/grants/unknown/revoke", "{}")
	c.refused(405, "method_not_allowed", "POST", "/requests", "{}")
	c.refused(405, "method_not_allowed", "GET", decide, "")
	c.refused(403, "self_approval", "GET", one, "", "User", "alice")
	c.refused(403, "self_approval", "POST", decide, c.decision(), "User", "agent-7")
	c.refused(415, "unsupported_media_type", "POST", decide, c.decision(), "Content-Type", form)
	c.refused(415, "unsupported_media_type", "POST", decide, c.decision(), "Content-Type", "text/plain")
	c.refused(415, "unsupported_media_type", "POST", decide, c.decision(), "Content-Type", "")
	c.refused(403, "cross_origin", "POST", decide, c.decision(), "Sec-Fetch-Site", "cross-site")
	c.refused(403, "cross_origin", "POST", decide, c.decision(), "Sec-Fetch-Site", "same-site")
	c.refused(403, "cross_origin", "POST", decide, c.decision(), "Origin", "https://evil.example")
	c.refused(403, "cross_origin", "POST", "/grants/x/revoke", "{}", "Origin", "null")
	c.refused(413, "too_large", "POST", decide, c.decision()+strings.Repeat(" ", 16<<10))
	c.refused(422, "scope_not_allowed", "POST", decide, c.decisionWith(`"grant"`, `,"scope":{"uses":2}`))
	c.refused(409, "digest_mismatch", "POST", decide, `{"decision":"grant","digest":"0"}`)
	for _, body := range []string{
		"", "{", "[]", "null", `"grant"`, "{}", `{"decision":"grant"`,
		c.decisionWith(`"Grant"`, ""), c.decisionWith(`true`, ""), c.decision() + "{}",
		c.decisionWith(`"refuse"`, `,"decision":"grant"`), c.decisionWith(`"refuse"`, `,"Decision":"grant"`),
		c.decisionWith(`"grant"`, `,"scopes":{}`), c.decisionWith(`"grant"`, `,"scope":{"uses":1,"uses":9}`),
		c.decisionWith(`"grant"`, `,"scope":{"uses":1.5}`), c.decisionWith(`"grant"`, `,"scope":{"for":60}`),
		c.decisionWith(`"grant"`, `,"scope":{"for":"soon"}`), c.decisionWith(`"grant"`, ",\"reason\":\"\xff\""),
		c.decisionWith(`"grant"`, `,"reason":"`+strings.Repeat("x", 2001)+`"`),
	} {
		c.refused(400, "malformed", "POST", decide, body)
	}
	c.refused(400, "malformed", "POST", "/grants/"+c.id+"/revoke", `{"all":true}`)
	if status, answer := c.call("POST", decide, c.decision(), "Sec-Fetch-Site", "same-origin"); status != 200 {
		t.Errorf("after all that: %d %s", status, answer)
	}
}

func TestHandlerHidesWhatOthersMayNotDecide(t *testing.T) {
	req := approvetest.Request(t, "s1", "x")
	req.Reasons[0].Approvers = []string{"dba"}
	c := waiting(t, approve.Config{}, req)
	if _, list := c.call("GET", "/requests", ""); list != "{\"requests\":[]}\n" {
		t.Errorf("list: %s", list)
	}
	_, unknown := c.call("GET", "/requests/unknown", "")
	if status, hidden := c.call("GET", "/requests/"+c.id, ""); status != 404 || hidden != unknown {
		t.Errorf("what there is and what there isn't differ: %d %s, %s", status, hidden, unknown)
	}
	c.refused(404, "not_found", "POST", c.decidePath(), c.decision())
	if status, _ := c.call("POST", c.decidePath(), c.decision(), "Group", "dba"); status != 200 {
		t.Errorf("the group's member got %d", status)
	}
}

func TestHandlerWithoutAuthRefusesAll(t *testing.T) {
	c := waiting(t, approve.Config{}, approvetest.Request(t, "s1", "x"))
	c.handler = c.engine.Handler(nil)
	c.refused(401, "unauthenticated", "GET", "/requests", "")
	c.refused(401, "unauthenticated", "POST", c.decidePath(), c.decision())
	c.handler = c.engine.Handler(func(*http.Request) (policy.Identity, error) { return policy.Identity{}, nil })
	c.refused(401, "unauthenticated", "GET", "/requests", "")
}

func TestHandlerTellsWhyItIsTooLate(t *testing.T) {
	req := approvetest.Request(t, "s1", "x")
	req.Expires = time.Millisecond
	c := waiting(t, approve.Config{}, req)
	if err := <-c.ended; !errors.Is(err, approve.ErrExpired) {
		t.Fatal(err)
	}
	c.refused(409, "expired", "POST", c.decidePath(), c.decision())
}

func TestHandlerShowsHostileTextHarmlessly(t *testing.T) {
	hostile := "SELECT '<script>&\x1b]52;c;x\x07\u009b2J\u202e\u2066\u200b\ufeff\u2028\U000e0041\r' /* Ärger 世界 */"
	req := approvetest.Request(t, "s1", hostile)
	req.Reasons[0].Message = hostile
	c := waiting(t, approve.Config{}, req)
	for _, path := range []string{"/requests", "/requests/" + c.id} {
		_, answer := c.call("GET", path, "")
		for _, r := range strings.TrimSuffix(answer, "\n") {
			if r < ' ' || r > '~' || strings.ContainsRune("<>&", r) {
				t.Errorf("%s: the answer has %U", path, r)
			}
		}
		if !strings.Contains(answer, `"hidden_characters":true`) {
			t.Errorf("%s: hidden characters go unnoticed", path)
		}
	}
	_, answer := c.call("GET", "/requests/"+c.id, "")
	var got struct{ Command struct{ Text string } }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Command.Text != hostile {
		t.Errorf("the text is not exact: %q, %v", got.Command.Text, err)
	}
}

func TestHandlerShowsTheExactBytes(t *testing.T) {
	text := "SELECT '\xff\xfe'"
	c := waiting(t, approve.Config{}, approvetest.Request(t, "s1", text))
	_, answer := c.call("GET", "/requests/"+c.id, "")
	if !strings.Contains(answer, `"text_base64":"`+base64.StdEncoding.EncodeToString([]byte(text))+`"`) || !strings.Contains(answer, `"hidden_characters":true`) {
		t.Errorf("got %s", answer)
	}
}

func TestHandlerShortensSummaries(t *testing.T) {
	text := strings.Repeat("é", 150)
	c := waiting(t, approve.Config{}, approvetest.Request(t, "s1", text))
	_, list := c.call("GET", "/requests", "")
	var got struct {
		Requests []struct {
			Command struct {
				Text      string
				Truncated bool
			}
		}
	}
	if err := json.Unmarshal([]byte(list), &got); err != nil || len(got.Requests) != 1 {
		t.Fatalf("list: %s, %v", list, err)
	}
	if cmd := got.Requests[0].Command; cmd.Text != strings.Repeat("é", 100) || !cmd.Truncated {
		t.Errorf("got %+v", cmd)
	}
}

func TestHandlerUnderAPrefix(t *testing.T) {
	c := waiting(t, approve.Config{}, approvetest.Request(t, "s1", "x"))
	c.handler = http.StripPrefix("/approve", c.handler)
	if status, answer := c.call("GET", "/approve/requests/"+c.id, ""); status != 200 {
		t.Errorf("got %d %s", status, answer)
	}
}
