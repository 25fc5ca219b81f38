package oidc

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/identitytest"
)

func part(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// FuzzParse holds what parse accepts against what it promises, and its errors
// against the token.
func FuzzParse(f *testing.F) {
	header := part(`{"alg":"ES256","kid":"key-1","typ":"JWT"}`)
	for _, seed := range []string{
		"", ".", "..", "...", "a.b.c", header + "." + part(`{"iss":"https://idp.example","aud":["a"],"exp":1.5}`) + ".AAAA",
		header + "." + part(`{"a":1,"a":2}`) + ".AAAA", header + "." + part(strings.Repeat(`{"a":`, 30)+"1"+strings.Repeat("}", 30)) + ".AAAA",
		part(`{"alg":"none"}`) + "." + part(`{}`) + ".", part(`{"alg":"RS256","crit":["exp"]}`) + "." + part(`{}`) + ".AA",
		header + "." + part(`{"sub":"\ud800"}`) + ".AA", header + "." + part("{\"sub\":\"\xff\"}") + ".AA", header + "\n." + part(`{}`) + ".AA",
		header + "." + part(`{"act":{"sub":"a","act":{"sub":"b"}}}`) + ".AB",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parse(raw)
		if err != nil {
			if identity.ReasonOf(err) != identity.ReasonMalformed && identity.ReasonOf(err) != identity.ReasonAlgorithm {
				t.Errorf("refused with %v", err)
			}
			return
		}
		parts := strings.Split(raw, ".")
		if len(parts) != 3 || base64.RawURLEncoding.EncodeToString(got.payload) != parts[1] {
			t.Error("accepted a text that isn't the only one for its content")
		}
		if !knownAlgorithm(got.header.algorithm) {
			t.Errorf("accepted the algorithm %q", got.header.algorithm)
		}
		var m Mapping
		m.complete()
		if id, err := m.identity(got.claims); err == nil && (id.Subject == "" || len(id.Actors) > maxActors) {
			t.Errorf("accepted as %+v", id)
		}
	})
}

// FuzzDecodeObject compares with encoding/json.
func FuzzDecodeObject(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", "null", `{"a":[1,2.5,-3e9,true,null,"x\u00e9\n",{"b":{}}]}`, `{"a":1,"a":1}`, `{"a":1}{}`, `{"a":1,}`, `{"a" 1}`,
		`{"\u0061":1,"a":2}`, strings.Repeat("[", 50), `{"a":[1,,2]}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, ` {"a" : 1 } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := decodeObject(doc)
		if err != nil {
			if found := identitytest.Leak(string(doc), err.Error()); found != "" && !strings.Contains(err.Error(), "JSON") {
				t.Errorf("the error shows %q", found)
			}
			return
		}
		d := json.NewDecoder(strings.NewReader(string(doc)))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// FuzzParseKeySet feeds what a provider could publish.
func FuzzParseKeySet(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"keys":null}`, `{"keys":[]}`, `{"keys":[{}]}`, `{"keys":[7]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["MIIB"]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		set, err := parseKeySet(doc)
		if err != nil {
			return
		}
		for _, k := range set.keys {
			if len(k.algorithms) == 0 || len(algorithmsOf(k.public)) == 0 {
				t.Errorf("took a key that can verify nothing: %+v", k)
			}
			for _, a := range k.algorithms {
				if !knownAlgorithm(a) {
					t.Errorf("took a key for %q", a)
				}
			}
		}
	})
}
