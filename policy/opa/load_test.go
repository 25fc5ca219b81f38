package opa

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"

	"github.com/headgate/gateway/policy"
)

func testKeys(key string) *bundle.VerificationConfig {
	return bundle.NewVerificationConfig(map[string]*keys.Config{"id": {Key: key, Algorithm: "HS256"}}, "id", "", nil)
}

// TestMisspelledInput: what the input doesn't have is an error of loading.
func TestMisspelledInput(t *testing.T) {
	for _, rules := range []string{
		`allow if input.comand.text == "x"`,
		`allow if input.command.efects == []`,
		`allow if input.command.effects[_].vreb == "read"`,
		"allow if {\n\tsome e in input.command.effects\n\te.vreb == \"read\"\n}",
		"allow if {\n\tevery e in input.command.effects { e.vreb == \"read\" }\n}",
		"deny contains \"x\" if {\n\tcmd := input.command\n\tcmd.txt == \"\"\n}",
		"allow if {\n\tevery i, e in input.command.effects { i >= 0\n e.vreb == \"read\" }\n}",
		"allow if {\n\tevery s in input.command.sql.statements {\n\t\tevery f in s.function { f == \"a\" }\n\t}\n}",
		`allow if count([e | some e in input.command.effects; e.vreb == "read"]) == 0`,
		`allow if "x" in input.identity.group`,
		`allow if input.session.counters.command > 1`,
		`allow if input.command.sql.statement[0].where`,
		`allow if input.identity.subject == 5`,
		"allow if input[\"comand\"]",
	} {
		if err := loadError(t, rules); !strings.Contains(err.Error(), "compile") {
			t.Errorf("%s: %v", rules, err)
		}
	}
	load(t, `allow if input.identity.claims.anything.below == input.target.labels.any`)
}

func TestStrict(t *testing.T) {
	for name, rules := range map[string]string{
		"unused variable":     "allow if {\n\tx := 1\n}",
		"unused import":       "import data.x\nallow := true",
		"shadowed input":      "allow if {\n\tinput := 1\n\tinput == 1\n}",
		"deprecated built-in": `allow if any([true])`,
		"old syntax":          `allow { true }`,
		"deny as a value":     `deny if input.command.text == "x"`,
		"ask as a value":      `ask := {"message": "x"}`,
		"deny as an object":   `deny[x] := 1 if x := "a"`,
		"allow as a set":      `allow contains true`,
		"allow as a function": `allow(x) := x`,
		"rules below allow":   `allow.read := true`,
		"misspelled output":   "allow := true\ndenny contains \"x\"",
		"misspelled mask":     "allow := true\nmasks contains {\"table\": \"a.b\", \"column\": \"*\", \"method\": \"null\"}",
		"recursion":           "allow if helper\nhelper if allow",
	} {
		if err := loadError(t, rules); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestPackagesBelow(t *testing.T) {
	_, err := New(t.Context(), Config{FS: fstest.MapFS{
		"a.rego": {Data: []byte("package gateway\nallow := true")},
		"b.rego": {Data: []byte("package gateway.deny\nx := true")},
	}})
	if err == nil {
		t.Error("a package in the place of deny loaded")
	}
	e, err := New(t.Context(), Config{FS: fstest.MapFS{
		"a.rego":     {Data: []byte("package gateway\nimport data.gateway.lib\nallow if lib.reads_only")},
		"sub/b.rego": {Data: []byte("package gateway.lib\nreads_only if {\n\tevery e in input.command.effects { e.verb == \"read\" }\n}\nspare := 1")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d := decide(t, e, query("", read("t"))); d.Outcome != policy.Allow {
		t.Errorf("%+v", d)
	}
}

func TestBuiltins(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1:1/"}).status_code == 200`,
		`net.lookup_ip_addr("localhost")`,
		`rand.intn("x", 2) == 1`,
		`uuid.rfc4122("x")`,
		`opa.runtime().env.HOME`,
		`trace("x")`,
	} {
		if err := loadError(t, "allow if "+call); !strings.Contains(err.Error(), "undefined function") {
			t.Errorf("%s: %v", call, err)
		}
	}
	e := load(t, `allow if http.send({"method": "get", "url": "http://127.0.0.1:1/"}).status_code == 200`, func(c *Config) {
		c.AllowBuiltins = []string{"http.send"}
	})
	_, err := e.Evaluate(t.Context(), query(""))
	if !errors.Is(err, ErrEvaluation) || !strings.Contains(err.Error(), "disallowed host") {
		t.Errorf("a host that isn't allowed: %v", err)
	}
	if e := load(t, `allow if time.now_ns() > 0`); decide(t, e, query("")).Outcome != policy.Allow {
		t.Error("the clock is off")
	}
}

func TestData(t *testing.T) {
	policyFile := &fstest.MapFile{Data: []byte("package gateway\nallow if input.identity.subject in data.teams.dba.members\nallow if input.command.text == data.top")}
	fsys := fstest.MapFS{
		"gateway.rego":        policyFile,
		"gateway_test.rego":   {Data: []byte("package gateway\nallow := true")},
		".hidden/x.rego":      {Data: []byte("package gateway\nallow := true")},
		"data.yaml":           {Data: []byte("top: marker\n")},
		"teams/dba/data.json": {Data: []byte(`{"members": ["ann"]}`)},
		"README.md":           {Data: []byte("x")},
	}
	e, err := New(t.Context(), Config{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	bob := query("")
	bob.Identity.Subject = "bob"
	if decide(t, e, query("")).Outcome != policy.Allow || decide(t, e, bob).Outcome != policy.Deny {
		t.Error("data documents don't decide")
	}
	for _, bad := range []string{`{"gateway": {"allow": true}}`, `{"gateway": {"deny": []}}`, `{"gateway": 1}`} {
		_, err := New(t.Context(), Config{FS: fstest.MapFS{"p.rego": {Data: []byte("package gateway\nask contains \"x\"")}, "data.json": {Data: []byte(bad)}}})
		if err == nil {
			t.Errorf("%s speaks as a rule", bad)
		}
	}
}

// TestConfigMap loads a directory as Kubernetes mounts it: links into a hidden
// directory.
func TestConfigMap(t *testing.T) {
	dir := t.TempDir()
	hidden := filepath.Join(dir, "..2026_01")
	must(t, os.Mkdir(hidden, 0o755))
	must(t, os.WriteFile(filepath.Join(hidden, "p.rego"), []byte("package gateway\nallow := true"), 0o600))
	must(t, os.Symlink("..2026_01", filepath.Join(dir, "..data")))
	must(t, os.Symlink("..data/p.rego", filepath.Join(dir, "p.rego")))
	e, err := New(t.Context(), Config{Dir: dir})
	must(t, err)
	if decide(t, e, query("")).Outcome != policy.Allow {
		t.Error("linked policy not loaded")
	}
	must(t, os.Symlink("..data", filepath.Join(dir, "more")))
	if _, err := New(t.Context(), Config{Dir: dir}); err == nil {
		t.Error("a link to a directory is left out silently")
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for name, content := range files {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	return buf.Bytes()
}

func reader(b []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

func TestBundle(t *testing.T) {
	plain := archive(t, map[string]string{"/p.rego": "package gateway\nallow if data.on", "/data.json": `{"on": true}`, "/.manifest": `{"revision": "7"}`})
	path := filepath.Join(t.TempDir(), "bundle.tar.gz")
	must(t, os.WriteFile(path, plain, 0o600))
	e, err := New(t.Context(), Config{Bundle: BundleFile(path)})
	must(t, err)
	if decide(t, e, query("")).Outcome != policy.Allow {
		t.Error("the bundle doesn't decide")
	}
	for name, cfg := range map[string]Config{
		"unsigned":     {Bundle: reader(plain), Verification: testKeys("k")},
		"cut":          {Bundle: reader(plain[:len(plain)/2])},
		"no file":      {Bundle: BundleFile(path + "x")},
		"no reader":    {Bundle: func(context.Context) (io.ReadCloser, error) { return nil, nil }},
		"old language": {Bundle: reader(archive(t, map[string]string{"/p.rego": "package gateway\nallow { true }", "/.manifest": `{"rego_version": 0}`}))},
	} {
		if _, err := New(t.Context(), cfg); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestSignedBundle(t *testing.T) {
	b, err := bundle.NewReader(bytes.NewReader(archive(t, map[string]string{"/p.rego": "package gateway\nallow := true"}))).Read()
	must(t, err)
	must(t, b.GenerateSignature(bundle.NewSigningConfig("right", "HS256", ""), "id", false))
	var signed bytes.Buffer
	must(t, bundle.NewWriter(&signed).Write(b))
	_, err = New(t.Context(), Config{Bundle: reader(signed.Bytes()), Verification: testKeys("right")})
	must(t, err)
	if _, err := New(t.Context(), Config{Bundle: reader(signed.Bytes()), Verification: testKeys("wrong")}); err == nil {
		t.Error("a wrong key verifies")
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	write := func(src string) {
		must(t, os.WriteFile(filepath.Join(dir, "p.rego"), []byte(src), 0o600))
	}
	write("package gateway\nallow := true")
	e, err := New(t.Context(), Config{Dir: dir})
	must(t, err)
	in := query("x")
	first := decide(t, e, in)
	write("package gateway\nallow := ")
	if err := e.Reload(t.Context()); err == nil || !errors.Is(e.LastError(), err) {
		t.Errorf("broken policy: %v, kept %v", err, e.LastError())
	}
	if d := decide(t, e, in); d.Outcome != policy.Allow || d.Revision != first.Revision {
		t.Errorf("after a failed reload: %+v", d)
	}
	write("package gateway\nallow := false")
	must(t, e.Reload(t.Context()))
	if d := decide(t, e, in); d.Outcome != policy.Deny || d.Revision == first.Revision || e.LastError() != nil {
		t.Errorf("after a reload: %+v, %v", d, e.LastError())
	}
	if p := e.current.Load(); e.Reload(t.Context()) != nil || e.current.Load() != p {
		t.Error("an unchanged policy is replaced")
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		good := archive(t, map[string]string{"/p.rego": "package gateway\nallow := true"})
		e, err := New(t.Context(), Config{Bundle: func(context.Context) (io.ReadCloser, error) {
			if opened++; opened > 1 {
				return nil, fs.ErrPermission
			}
			return io.NopCloser(bytes.NewReader(good)), nil
		}})
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		reported := 0
		err = e.Watch(ctx, 10*time.Second, func(err error) {
			if errors.Is(err, fs.ErrPermission) {
				reported++
			}
		})
		if !errors.Is(err, context.DeadlineExceeded) || reported != 3 || opened != 4 {
			t.Errorf("%v, %d reports, %d loads", err, reported, opened)
		}
	})
}

// TestRevision: whatever can change a decision changes the revision.
func TestRevision(t *testing.T) {
	base := Config{FS: fstest.MapFS{"p.rego": {Data: []byte("package gateway\nallow := true")}}}
	seen := map[string]string{}
	for name, cfg := range map[string]Config{
		"base":    base,
		"comment": {FS: fstest.MapFS{"p.rego": {Data: []byte("package gateway\n# c\nallow := true")}}},
		"renamed": {FS: fstest.MapFS{"q.rego": {Data: []byte("package gateway\nallow := true")}}},
		"data":    {FS: fstest.MapFS{"p.rego": {Data: []byte("package gateway\nallow := true")}, "data.json": {Data: []byte(`{"a":1}`)}}},
		"builtin": {FS: base.FS, AllowBuiltins: []string{"http.send"}},
		"hosts":   {FS: base.FS, AllowHosts: []string{"a"}},
	} {
		e, err := New(t.Context(), cfg)
		must(t, err)
		if other, ok := seen[e.Revision()]; ok {
			t.Errorf("%s and %s have one revision", name, other)
		}
		seen[e.Revision()] = name
	}
	again, err := New(t.Context(), base)
	must(t, err)
	if seen[again.Revision()] != "base" {
		t.Error("the revision isn't stable")
	}
}
