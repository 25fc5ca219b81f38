package gateway_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// encodings returns the forms in which a secret could come back, by their names.
func encodings(canary string) map[string]string {
	quoted, _ := json.Marshal(canary) // a string can always be
	var unescaped bytes.Buffer
	e := json.NewEncoder(&unescaped)
	e.SetEscapeHTML(false)
	_ = e.Encode(canary) // a string can always be
	out := map[string]string{
		"raw": canary, "hex": hex.EncodeToString([]byte(canary)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(canary))),
		"JSON": strings.Trim(string(quoted), `"`), "JSON without HTML": strings.Trim(strings.TrimSpace(unescaped.String()), `"`),
		"Go": strings.Trim(strconv.Quote(canary), `"`), "SQL": strings.ReplaceAll(canary, "'", "''"),
		"URL query": url.QueryEscape(canary), "URL path": url.PathEscape(canary), "URL user": url.UserPassword("", canary).String()[1:],
		"bytes": strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"),
	}
	for shift := range 3 { // wherever it stands in what is encoded
		text := append(bytes.Repeat([]byte{' '}, shift), canary...)
		whole := len(text) / 3 * 3
		skip := (shift + 2) / 3 * 4
		out["base64+"+strconv.Itoa(shift)] = base64.StdEncoding.EncodeToString(text[:whole])[skip:]
		out["base64url+"+strconv.Itoa(shift)] = base64.URLEncoding.EncodeToString(text[:whole])[skip:]
	}
	return out
}

// leaks returns the encodings in which a canary is in text.
func leaks(text, canary string) []string {
	var found []string
	for name, form := range encodings(canary) {
		if strings.Contains(text, form) {
			found = append(found, name)
		}
	}
	return found
}

func TestLeaksAreFound(t *testing.T) {
	const canary = "canary/A1+'\"&%<é>"
	for name, form := range encodings(canary) {
		if len(form) < 8 {
			t.Errorf("%s: %q proves nothing", name, form)
		}
		if len(leaks("before "+form+" after", canary)) == 0 {
			t.Errorf("%s isn't found", name)
		}
	}
	for _, text := range []string{
		base64.StdEncoding.EncodeToString([]byte("user:" + canary)), base64.RawURLEncoding.EncodeToString([]byte("u:" + canary + "@host")),
		fmt.Sprintf("%+v", struct{ p []byte }{[]byte(canary)}), fmt.Sprintf("%x", "x"+canary), fmt.Sprintf("%#v", canary),
		url.UserPassword("app", canary).String(),
	} {
		if len(leaks(text, canary)) == 0 {
			t.Errorf("%s: isn't found", text)
		}
	}
	if found := leaks("canary/A1", canary); len(found) != 0 {
		t.Errorf("found %q in a part", found)
	}
}
