package file_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/credsourcetest"
	"github.com/headgate/gateway/credsource/file"
	"github.com/headgate/gateway/credsource/internal/certtest"
)

const canary = "can4ry<&\"+/file"

// replace puts a complete file in the place of another, as a rotation should.
func replace(t *testing.T, path, content string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

func newSource(t *testing.T, cfg file.Config) *file.Source {
	t.Helper()
	source, err := file.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func get(t *testing.T, source credsource.Source) *credsource.Credential {
	t.Helper()
	c, err := source.Credential(t.Context(), credsource.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func document(t *testing.T, password string, expires time.Time) string {
	t.Helper()
	doc, err := json.Marshal(map[string]any{"username": "app", "password": password, "expires": expires})
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func TestConformance(t *testing.T) {
	for _, format := range []file.Format{"", file.FormatPassword, file.FormatToken, file.FormatPrivateKey} {
		t.Run("single "+string(format), func(t *testing.T) {
			credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
				t.Helper()
				path := filepath.Join(t.TempDir(), "secret")
				replace(t, path, canary+"\n")
				return credsourcetest.Fixture{
					Source: newSource(t, file.Config{Path: path, Format: format, Username: "app"}),
					Canary: canary,
					Rotate: func(t *testing.T) string { t.Helper(); replace(t, path, "rotated-canary\n"); return "rotated-canary" },
					Break: func(t *testing.T) {
						t.Helper()
						if err := os.Remove(path); err != nil {
							t.Fatal(err)
						}
					},
				}
			}})
		})
	}
}

func TestConformanceJSON(t *testing.T) {
	credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
		t.Helper()
		path := filepath.Join(t.TempDir(), "secret.json")
		now := time.Unix(1e9, 0)
		replace(t, path, document(t, canary, now.Add(time.Hour)))
		return credsourcetest.Fixture{
			Source: newSource(t, file.Config{Path: path, Format: file.FormatJSON, Now: func() time.Time { return now }}),
			Canary: canary,
			Rotate: func(t *testing.T) string {
				t.Helper()
				replace(t, path, document(t, "rotated-canary", now.Add(time.Hour)))
				return "rotated-canary"
			},
			Break:  func(t *testing.T) { t.Helper(); replace(t, path, document(t, canary, now)[:40]) },
			Expire: func(*testing.T) { now = now.Add(time.Hour) },
		}
	}})
}

func TestConformanceTLS(t *testing.T) {
	credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
		t.Helper()
		dir := t.TempDir()
		now := time.Unix(1e9, 0)
		write := func(t *testing.T, name string) {
			t.Helper()
			_, cert, key := certtest.New(t, name, now.Add(time.Hour))
			replace(t, filepath.Join(dir, "tls.crt"), string(cert))
			replace(t, filepath.Join(dir, "tls.key"), string(key))
		}
		write(t, canary)
		return credsourcetest.Fixture{
			Source: newSource(t, file.Config{
				Path: filepath.Join(dir, "tls.crt"), KeyPath: filepath.Join(dir, "tls.key"),
				Format: file.FormatTLS, Now: func() time.Time { return now },
			}),
			Canary: canary,
			Rotate: func(t *testing.T) string { t.Helper(); write(t, "rotated-canary"); return "rotated-canary" },
			Break:  func(t *testing.T) { t.Helper(); replace(t, filepath.Join(dir, "tls.key"), canary) },
			Expire: func(*testing.T) { now = now.Add(2 * time.Hour) },
		}
	}})
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]file.Config{
		"no path":        {},
		"unknown format": {Path: "x", Format: "yaml"},
		"two users":      {Path: "x", Username: "a", UsernamePath: "b"},
		"TLS sans key":   {Path: "x", Format: file.FormatTLS},
		"key sans TLS":   {Path: "x", KeyPath: "y"},
		"negative":       {Path: "x", MaxBytes: -1},
	} {
		if s, err := file.New(cfg); err == nil || s != nil {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
}

func TestZeroSourceHasNothing(t *testing.T) {
	if _, err := new(file.Source).Credential(t.Context(), credsource.Request{}); !errors.Is(err, credsource.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestOneTrailingNewlineIsTrimmed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	source := newSource(t, file.Config{Path: path})
	for content, want := range map[string]string{
		"pw": "pw", "pw\n": "pw", "pw\r\n": "pw", "pw\n\n": "pw\n", "pw\r": "pw\r", "\tpw": "\tpw", "\npw": "\npw",
	} {
		replace(t, path, content)
		if got := get(t, source).Password.Reveal(); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
	}
}

func TestUnusableContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for name, tc := range map[string]struct {
		format  file.Format
		content string
	}{
		"empty":               {file.FormatPassword, ""},
		"only a newline":      {file.FormatToken, "\n"},
		"empty key":           {file.FormatPrivateKey, "\r\n"},
		"too large":           {file.FormatPassword, strings.Repeat("x", 101)},
		"truncated":           {file.FormatJSON, `{"password":"` + canary},
		"two documents":       {file.FormatJSON, `{"password":"a"}{"password":"b"}`},
		"unknown member":      {file.FormatJSON, `{"password":"a","passwort":"b"}`},
		"number as password":  {file.FormatJSON, `{"password":12345678}`},
		"no secret":           {file.FormatJSON, `{"username":"app"}`},
		"null":                {file.FormatJSON, `null`},
		"user name repeated":  {file.FormatJSON, `{"username":"other","password":"a"}`},
		"not UTF-8":           {file.FormatJSON, "{\"password\":\"\xff\"}"},
		"expires is no time":  {file.FormatJSON, `{"password":"a","expires":"soon"}`},
		"expired long ago":    {file.FormatJSON, `{"password":"a","expires":"2001-01-01T00:00:00Z"}`},
		"number out of range": {file.FormatJSON, `{"password":"a","expires":1e999}`},
	} {
		replace(t, path, tc.content)
		source := newSource(t, file.Config{Path: path, Format: tc.format, Username: "app", MaxBytes: 100})
		c, err := source.Credential(t.Context(), credsource.Request{})
		if c != nil || !errors.Is(err, credsource.ErrUnavailable) {
			t.Errorf("%s: got %v, %v", name, c, err)
			continue
		}
		for _, leak := range []string{canary, "12345678", "passwort"} {
			if strings.Contains(err.Error(), leak) {
				t.Errorf("%s: %q shows content", name, err)
			}
		}
	}
}

func TestMissingFile(t *testing.T) {
	source := newSource(t, file.Config{Path: filepath.Join(t.TempDir(), "missing")})
	_, err := source.Credential(t.Context(), credsource.Request{})
	if !errors.Is(err, credsource.ErrNotFound) || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
}

func TestRefreshDoesNotRepeatTheRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	replace(t, path, "one")
	source := newSource(t, file.Config{Path: path})
	refused := get(t, source)
	if c, err := source.Refresh(t.Context(), credsource.Request{}, refused); c != nil || !errors.Is(err, credsource.ErrUnchanged) {
		t.Errorf("unchanged: got %v, %v", c, err)
	}
	replace(t, path, "two")
	c, err := source.Refresh(t.Context(), credsource.Request{}, refused)
	if err != nil || c.Password.Reveal() != "two" {
		t.Errorf("changed: got %v, %v", c, err)
	}
	if c, err := source.Refresh(t.Context(), credsource.Request{}, nil); c == nil || err != nil {
		t.Errorf("nothing refused: got %v, %v", c, err)
	}
}

func TestVersionSaysNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	replace(t, path, "pw")
	one, two := newSource(t, file.Config{Path: path}), newSource(t, file.Config{Path: path})
	version := get(t, one).Version
	if again := get(t, one).Version; again != version {
		t.Error("the same content has two versions")
	}
	if get(t, two).Version == version {
		t.Error("a version is a plain hash: it can be used to test guesses")
	}
}

func TestTLSPair(t *testing.T) {
	dir := t.TempDir()
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	_, cert, key := certtest.New(t, "client", end)
	replace(t, filepath.Join(dir, "tls.crt"), string(cert))
	replace(t, filepath.Join(dir, "tls.key"), string(key))
	c := get(t, newSource(t, file.Config{Path: filepath.Join(dir, "tls.crt"), KeyPath: filepath.Join(dir, "tls.key"), Format: file.FormatTLS}))
	if !c.Expires.Equal(end) {
		t.Errorf("expires %v, want %v", c.Expires, end)
	}
	if c.Certificate == nil || len(c.Certificate.Certificate) != 1 {
		t.Error("the certificate is missing")
	}
}
