package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/headgate/gateway/examples/standalone/config"
)

func load(t *testing.T, text string) (*config.Config, config.Problems) {
	t.Helper()
	c, err := config.Load(strings.NewReader(text))
	problems, ok := errors.AsType[config.Problems](err)
	if err != nil && !ok {
		t.Fatal(err)
	}
	return c, problems
}

func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../gateway.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheExampleIsRight(t *testing.T) {
	c, problems := load(t, example(t))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if c.Routes[0].Limits.StartupTimeout.String() != "30s" || c.Approvals.BaseURL != "http://127.0.0.1:8321" || c.Identity.OIDC[0].MaxAge.Hours() != 1 {
		t.Errorf("%+v", c)
	}
	shown, err := c.Show()
	if err != nil {
		t.Fatal(err)
	}
	again, problems := load(t, string(shown))
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, shown)
	}
	twice, err := again.Show()
	if err != nil || string(twice) != string(shown) {
		t.Errorf("%v: what is shown reads differently:\n%s\n%s", err, shown, twice)
	}
}

func TestEveryProblemIsReportedWithItsLine(t *testing.T) {
	_, problems := load(t, `identity:
  static:
    - token: a-static-token-of-the-agent
      token_env: ALSO
      subjct: agent
policy: {dir: a, bundle: b}
record:
  dir: logs
  mode: sometimes
  signing_key: [a, b]
approvals:
  listen: 0.0.0.0:80
  expiry: soon
  approvers:
    oidc: [{issuer: "https://idp.example", audiences: [x]}]
routes:
  - {name: a, listen: "127.0.0.1:1", upstream: db, database: d, credential: {source: env, username: u}}
  - {name: a, listen: "127.0.0.1:1", upstream: db, database: d, credential: {password: p, username: u}, limits: {max_names: -1}}
  - protocol: oracle
    certificate_suffices: true
    oauth: {scope: x}
    target_session: master
    upstream_tls: {channel_binding: sometimes, direct: maybe}
    tls: {cert: c, key: k, client_certificates: optional}
    propagate: {settings: {headgate.subject: name}, role: claim.}
entrances:
  - listen: 127.0.0.1:1
    routes: [{route: nowhere}]
limits: 7
log: {level: loud, level: info}
surprise: 1
`)
	var got []string
	for _, p := range problems {
		got = append(got, p.Error())
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"line 3: identity.static[0].token: needs exactly one of token, token_env and token_file",
		"line 3: identity.static[0].subject: is required",
		"line 5: identity.static[0].subjct: unknown key; there are: groups, subject, token, token_env, token_file",
		"line 6: policy: needs exactly one of dir and bundle",
		"line 9: record.mode: must be one of buffered, durable, best-effort",
		"line 10: record.signing_key: must be a single value",
		"line 11: approvals: groups is required",
		"line 12: approvals.listen: is not a loopback address, so tls is required",
		"line 13: approvals.expiry: must be a positive time span",
		"line 17: routes[0].credential.password_env: is required",
		`line 18: routes[1].name: "a" is another route's name`,
		"line 18: routes[1].listen: 127.0.0.1:1 is another route's address",
		"line 18: routes[1].limits.max_names: must be a whole number from 0",
		"line 19: routes[2].protocol: must be one of postgres",
		"line 19: routes[2]: credential is required",
		"line 20: routes[2].certificate_suffices: needs tls with client_ca",
		"routes[2].certificate_suffices: needs identity.mtls",
		"line 21: routes[2].oauth.issuer: is required",
		"line 22: routes[2].target_session: must be one of any, read-write",
		"line 23: routes[2].upstream_tls.channel_binding: must be one of prefer, require",
		"line 23: routes[2].upstream_tls.direct: must be true or false",
		"line 24: routes[2].tls.client_certificates: needs client_ca",
		"line 19: routes[2].listen: is required where no entrance",
		"line 25: routes[2].propagate.settings: must be subject, issuer or claim.NAME",
		"line 25: routes[2].propagate.role: must be subject",
		"line 27: entrances[0].listen: 127.0.0.1:1 is another's address",
		`line 28: entrances[0].routes[0].route: there is no route "nowhere"`,
		"line 29: limits: must be a mapping of keys and values",
		"line 31: surprise: unknown key; there are: approvals, entrances, identity, limits, log, mask, policy, record, routes, shutdown_grace",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log("got:\n" + all)
	}
}

func TestSyntaxErrorsNameTheLine(t *testing.T) {
	for text, line := range map[string]int{"a: 1\n b: 2\n": 2, "a: [1\n": 1, "identity: &x {}\nmask: *x\n": 2, "": 1, "- a\n": 1} {
		_, problems := load(t, text)
		found := false
		for _, p := range problems {
			found = found || p.Line == line
		}
		if !found {
			t.Errorf("%q: %v, want line %d", text, problems, line)
		}
	}
}

// A key that no section has makes each section list the keys that it has.
func TestEveryFieldIsDocumented(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	credential := func(source string) string {
		return "{zz: 1, source: " + source + "}"
	}
	tls := "{zz: 1}"
	id := "{zz: 1, static: [{zz: 1}], oidc: [{zz: 1}], mtls: [{zz: 1}]}"
	route := func(source string) string {
		return "{zz: 1, tls: " + tls + ", upstream_tls: {zz: 1}, limits: {zz: 1}, propagate: {zz: 1}, oauth: {zz: 1}, credential: " + credential(source) + "}"
	}
	_, problems := load(t, "zz: 1\nidentity: "+id+"\npolicy: {zz: 1}\nrecord: {zz: 1}\nmask: {zz: 1}\nlimits: {zz: 1}\nlog: {zz: 1}\n"+
		"approvals: {zz: 1, tls: "+tls+", approvers: "+id+"}\nroutes: ["+route("static")+","+route("env")+","+route("file")+"]\nentrances: [{zz: 1, routes: [{zz: 1}]}]\n")
	fields := 0
	for _, p := range problems {
		_, list, ok := strings.Cut(p.Message, "there are: ")
		if !ok {
			continue
		}
		for name := range strings.SplitSeq(list, ", ") {
			fields++
			if !strings.Contains(string(readme), "`"+name+"`") {
				t.Errorf("%s: README does not mention %q", p.Field, name)
			}
		}
	}
	if fields < 120 {
		t.Errorf("only %d fields were listed", fields)
	}
}

// TestDocumentedRoutes: what docs/postgresql.md shows is right, together with the
// sections that it leaves out.
func TestDocumentedRoutes(t *testing.T) {
	text, err := os.ReadFile("../../../docs/postgresql.md")
	if err != nil {
		t.Fatal(err)
	}
	const rest = `
identity: {static: [{token_env: TOKEN, subject: s}]}
policy: {dir: policy}
record: {dir: sessions, signing_key: key}
`
	const routes = `
routes:
  - {name: orders, upstream: db, database: orders, credential: {username: u, password: p}}
  - {name: depot, upstream: db, database: depot, credential: {username: u, password: p}}
`
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) != 3 {
		t.Errorf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if strings.Contains(block, "entrances:") {
			block += routes
		}
		if _, problems := load(t, block+rest); len(problems) > 0 {
			t.Errorf("%v\n%s", problems, block)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("a: {b: [1, 2]}")
	f.Add("identity:\n  static: [{token: x}]\nroutes: [{credential: {source: file}}]\n")
	f.Add("? [a]\n: b\n")
	f.Add("routes: [[], null, 1, {limits: {max_names: 1e9}}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Load(strings.NewReader(text))
		if err == nil {
			if _, err := c.Show(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
