package credsource_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy/secret"
)

func TestZeroCredential(t *testing.T) {
	var none *credsource.Credential
	if err := none.Release(t.Context()); err != nil {
		t.Errorf("Release of nil: %v", err)
	}
	doc, err := json.Marshal(none)
	if err != nil || string(doc) != "null" {
		t.Errorf("JSON of nil: %s, %v", doc, err)
	}
	if got := fmt.Sprintf("%v %+v %#v", none, none, none); got != "credential(nil) credential(nil) credential(nil)" {
		t.Errorf("nil prints as %q", got)
	}
	slog.New(slog.NewTextHandler(new(bytes.Buffer), nil)).Info("m", "c", none)
	zero := new(credsource.Credential)
	if zero.Expired(time.Now()) || len(zero.Secrets()) != 0 {
		t.Error("the zero credential expires or holds a secret")
	}
}

func TestCredentialForms(t *testing.T) {
	c := &credsource.Credential{Username: "app", Password: secret.New(canary), Version: "v1", Expires: time.Unix(0, 0).UTC()}
	doc, err := json.Marshal(c)
	if want := `{"username":"app","expires":"1970-01-01T00:00:00Z","version":"v1"}`; err != nil || string(doc) != want {
		t.Errorf("JSON: got %s, %v", doc, err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "c", c)
	if !strings.Contains(log.String(), "c.username=app c.expires=1970-01-01T00:00:00.000Z c.version=v1") {
		t.Errorf("log: %s", log.String())
	}
	if !c.Expired(time.Unix(0, 0)) || c.Expired(time.Unix(-1, 0)) {
		t.Error("a credential ends at Expires, not before and not after")
	}
}

func TestReleaseKeepsItsError(t *testing.T) {
	calls := 0
	c := new(credsource.Credential).WithRelease(func(context.Context) error { calls++; return errDown })
	for range 3 {
		if err := c.Release(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
	}
	wantCount(t, "releases", calls, 1)
}

func TestOpaqueKeyRefuses(t *testing.T) {
	for name, cert := range map[string]*tls.Certificate{
		"nil":            nil,
		"empty":          {},
		"no key":         {Certificate: [][]byte{{1}}},
		"key can't sign": {Certificate: [][]byte{{1}}, PrivateKey: "key"},
	} {
		if out, err := credsource.OpaqueKey(cert); err == nil || out != nil {
			t.Errorf("%s: got %v, %v", name, out, err)
		}
	}
}
