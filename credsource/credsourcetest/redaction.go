package credsourcetest

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/headgate/gateway/credsource"
)

func testRedaction(t *testing.T, f Fixture) {
	c := fetch(t, f)
	type holder struct {
		Credential *credsource.Credential
		hidden     *credsource.Credential
		Request    credsource.Request
	}
	h := holder{c, c, f.Request}
	_ = h.hidden // only printed
	values := []any{c, h, &h, []*credsource.Credential{c}, map[string]any{"c": c}, f.Request, c.Secrets()}
	if c.Certificate != nil {
		values = append(values, printableKey(c.Certificate))
	}
	for _, v := range values {
		showsNot(t, v, f.Canary)
	}
	if c.Certificate != nil {
		return // %s of the struct shows the certificate itself, which is public
	}
	byValue := reflect.ValueOf(c).Elem().Interface() // what go vet keeps one from copying
	showsNot(t, byValue, f.Canary)
	showsNot(t, struct{ C any }{byValue}, f.Canary)
}

// printableKey is the one part of a certificate that must stay secret.
func printableKey(cert *tls.Certificate) any { return cert.PrivateKey }

// showsNot fails the test if v shows the canary, plain or in a usual encoding,
// in any usual way of writing a value out.
func showsNot(t *testing.T, v any, canary string) {
	t.Helper()
	for how, text := range renderings(v) {
		for name, form := range encodings(canary) {
			if strings.Contains(text, form) {
				t.Errorf("%T written with %s shows the secret (%s)", v, how, name)
			}
		}
	}
}

func renderings(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	var text, doc bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&doc, nil)).Info("m", "v", v)
	out["slog text"], out["slog JSON"] = text.String(), doc.String()
	if b, err := json.Marshal(v); err == nil {
		out["JSON"] = string(b)
	}
	if b, err := xml.Marshal(v); err == nil {
		out["XML"] = string(b)
	}
	if err, ok := v.(error); ok {
		out["Error"] = err.Error()
	}
	return out
}

func encodings(canary string) map[string]string {
	quoted, err := json.Marshal(canary)
	if err != nil {
		panic(err) // a string has a JSON form
	}
	return map[string]string{
		"plain":      canary,
		"base64":     strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(canary)), "="),
		"base64 URL": base64.RawURLEncoding.EncodeToString([]byte(canary)),
		"hex":        hex.EncodeToString([]byte(canary)),
		"HEX":        strings.ToUpper(hex.EncodeToString([]byte(canary))),
		"URL":        url.QueryEscape(canary),
		"JSON":       string(quoted[1 : len(quoted)-1]),
		"bytes":      strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"),
	}
}
