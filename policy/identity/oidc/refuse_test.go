package oidc_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/headgate/gateway/internal/oidctest"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/identitytest"
	"github.com/headgate/gateway/policy/identity/oidc"
)

// A refusal is a token that must be refused, and why.
type refusal struct{ token, reason string }

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// nest returns an act chain of n actors.
func nest(n int) claims {
	act := claims{"sub": "actor"}
	for range n - 1 {
		act = claims{"sub": "actor", "act": act}
	}
	return act
}

// byClaims are refusals of well-signed tokens.
func byClaims(t *testing.T, b *bench) map[string]refusal {
	t.Helper()
	now := b.Now().Unix()
	out := map[string]refusal{}
	add := func(name, reason string, extra claims) { out[name] = refusal{b.mint(t, extra), reason} }
	for name, aud := range map[string]any{
		"wrong": "another", "missing": nil, "empty": "", "empty list": []string{}, "wrong list": []string{"a", "b"}, "prefix": audience + "/",
		"case": "Headgate", "number": 7, "mixed list": []any{audience, 7}, "nested list": []any{[]any{audience}}, "object": claims{audience: true},
	} {
		add("aud "+name, identity.ReasonAudience, claims{"aud": aud})
	}
	for name, iss := range map[string]any{
		"wrong": "https://another.example", "trailing slash": b.idp.Issuer() + "/", "missing": nil, "empty": "", "number": 7,
		"case": "https://IDP.example", "list": []string{b.idp.Issuer()}, "http": "http://idp.example", "longer": b.idp.Issuer() + ".evil.example",
	} {
		add("iss "+name, identity.ReasonIssuer, claims{"iss": iss})
	}
	add("exp now", identity.ReasonExpired, claims{"exp": now})
	add("exp a fraction ago", identity.ReasonExpired, claims{"exp": float64(now) + 0.9})
	add("nbf in the future", identity.ReasonNotYetValid, claims{"nbf": now + 31})
	add("iat in the future", identity.ReasonNotYetValid, claims{"iat": now + 31})
	add("iat too old", identity.ReasonTooOld, claims{"iat": now - 86401})
	for _, name := range []string{"exp", "iat", "nbf"} {
		for kind, v := range map[string]any{"string": fmt.Sprint(now), "negative": -1, "huge": 1e18, "null in list": []any{nil}, "beyond floats": json.Number("1e400")} {
			add(name+" "+kind, identity.ReasonClaims, claims{name: v})
		}
	}
	add("exp missing", identity.ReasonClaims, claims{"exp": nil})
	add("iat missing", identity.ReasonClaims, claims{"iat": nil})
	for name, sub := range map[string]any{
		"missing": nil, "empty": "", "number": 7, "list": []string{"ann"}, "newline": "ann\nroot", "NUL": "ann\x00", "direction": "ann\u202etoor",
		"replacement": "ann\ufffd", "overlong": strings.Repeat("a", 1025),
	} {
		add("sub "+name, identity.ReasonClaims, claims{"sub": sub})
	}
	for name, groups := range map[string]any{"number": 7, "object": claims{"eng": true}, "mixed": []any{"eng", 7}, "empty name": []string{""}, "control": []string{"eng\n"}} {
		add("groups "+name, identity.ReasonClaims, claims{"groups": groups})
	}
	for name, act := range map[string]any{
		"string": "agent", "list": []any{}, "no subject": claims{"iss": "x"}, "empty subject": claims{"sub": ""}, "empty issuer": claims{"sub": "a", "iss": ""},
		"issuer number": claims{"sub": "a", "iss": 7}, "inner malformed": claims{"sub": "a", "act": 7}, "inner null": claims{"sub": "a", "act": []any{nil}}, "nine": nest(9),
	} {
		add("act "+name, identity.ReasonClaims, claims{"act": act})
	}
	add("groups elsewhere", identity.ReasonClaims, claims{"_claim_names": claims{"groups": "src"}, "_claim_sources": claims{"src": claims{"endpoint": "https://idp.example/groups"}}})
	add("bound to a key", identity.ReasonClaims, claims{"cnf": claims{"jkt": "x"}})
	add("logout token", identity.ReasonClaims, claims{"events": claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}})
	add("deep", identity.ReasonMalformed, claims{"act": nest(40)})
	return out
}

// byHeader are refusals of tokens whose header is wrong.
func byHeader(t *testing.T, b *bench) map[string]refusal {
	t.Helper()
	out := map[string]refusal{}
	add := func(name, reason string, header claims) { out[name] = refusal{b.mintWith(t, header, nil), reason} }
	for _, alg := range []any{"none", "None", "NONE", "", nil, "HS256", "HS384", "HS512", "es256", "ES256K", "RSA-OAEP", "dir"} {
		add(fmt.Sprintf("alg %v", alg), identity.ReasonAlgorithm, claims{"alg": alg})
	}
	add("alg of another key", identity.ReasonUnknownKey, claims{"alg": "RS256"})
	add("alg known, not allowed", identity.ReasonAlgorithm, claims{"alg": "ES384"})
	add("alg number", identity.ReasonMalformed, claims{"alg": 256})
	add("kid unknown", identity.ReasonUnknownKey, claims{"kid": "another"})
	add("kid number", identity.ReasonMalformed, claims{"kid": 1})
	add("kid overlong", identity.ReasonMalformed, claims{"kid": strings.Repeat("k", 1025)})
	add("kid of another algorithm", identity.ReasonUnknownKey, claims{"kid": b.idp.KeyID("RS256")})
	for name, v := range map[string]any{"crit": []string{"exp"}, "b64": false, "enc": "A256GCM", "zip": "DEF", "jwk": claims{"kty": "EC"}, "x5c": []string{"MIIB"}} {
		add(name, identity.ReasonMalformed, claims{name: v})
	}
	add("crit empty", identity.ReasonMalformed, claims{"crit": []string{}})
	add("b64 true", identity.ReasonMalformed, claims{"b64": true})
	add("nested", identity.ReasonMalformed, claims{"cty": "JWT"})
	add("typ", identity.ReasonClaims, claims{"typ": "logout+jwt"})
	add("typ dpop", identity.ReasonClaims, claims{"typ": "application/dpop+jwt"})
	return out
}

// byBytes are refusals of tokens that are damaged or forged as texts.
func byBytes(t *testing.T, b *bench) map[string]refusal {
	t.Helper()
	out := map[string]refusal{}
	sign := func(name, reason, header, payload string) {
		token, err := b.idp.Sign("ES256", []byte(header), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = refusal{token, reason}
	}
	header := `{"alg":"ES256","kid":"` + b.idp.KeyID("ES256") + `"}`
	body := fmt.Sprintf(`"iss":%q,"aud":%q,"exp":%d,"iat":%d`, b.idp.Issuer(), audience, b.Now().Unix()+60, b.Now().Unix())
	sign("duplicate claim", identity.ReasonMalformed, header, `{"sub":"ann","sub":"root",`+body+`}`)
	sign("duplicate claim, escaped", identity.ReasonMalformed, header, `{"sub":"ann","s\u0075b":"root",`+body+`}`)
	sign("duplicate claim within", identity.ReasonMalformed, header, `{"sub":"ann","act":{"sub":"a","sub":"b"},`+body+`}`)
	sign("duplicate header", identity.ReasonMalformed, `{"alg":"none","alg":"ES256"}`, `{"sub":"ann",`+body+`}`)
	sign("lone surrogate", identity.ReasonClaims, header, `{"sub":"ann\ud800",`+body+`}`)
	sign("not UTF-8", identity.ReasonMalformed, header, "{\"sub\":\"ann\xff\","+body+"}")
	sign("trailing data", identity.ReasonMalformed, header, `{"sub":"ann",`+body+`} {}`)
	sign("claims array", identity.ReasonMalformed, header, `[]`)
	sign("claims null", identity.ReasonMalformed, header, `null`)
	sign("header text", identity.ReasonMalformed, `"ES256"`, `{"sub":"ann",`+body+`}`)
	sign("exp null", identity.ReasonClaims, header, `{"sub":"ann","iss":"`+b.idp.Issuer()+`","exp":null,"iat":1}`)
	sign("name in another case", identity.ReasonClaims, header, `{"sub":"ann",`+body+`,"ISS":"https://another.example"}`)
	sign("claim of a wrong type", identity.ReasonClaims, header, `{"sub":"ann",`+body+`,"nonce":7}`)
	sign("act null", identity.ReasonClaims, header, `{"sub":"ann","act":null,`+body+`}`)
	good := b.mint(t, nil)
	parts := strings.Split(good, ".")
	forged := encode(`{"sub":"root",` + body + `}`)
	for name, token := range map[string]string{
		"two parts": parts[0] + "." + parts[1], "four parts": good + ".x", "five parts": good + ".x.y", "one part": parts[0], "no header": "." + parts[1] + "." + parts[2],
		"no payload": parts[0] + ".." + parts[2], "no signature": parts[0] + "." + parts[1] + ".", "padded": good + "=", "standard alphabet": parts[0] + "." + parts[1] + ".++//",
		"space before": " " + good, "space after": good + " ", "newline in a part": parts[0] + "." + parts[1][:8] + "\n" + parts[1][8:] + "." + parts[2],
		"unicode": parts[0] + "." + parts[1] + ".\u212a" + parts[2], "JSON serialization": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"too long": good + strings.Repeat("A", 16<<10),
	} {
		out[name] = refusal{token, identity.ReasonMalformed}
	}
	out["stray bits"] = refusal{stray(good), identity.ReasonMalformed}
	out["tampered payload"] = refusal{parts[0] + "." + forged + "." + parts[2], identity.ReasonSignature}
	out["tampered header"] = refusal{encode(header) + "." + parts[1] + "." + parts[2], identity.ReasonSignature}
	out["signature of zeros"] = refusal{parts[0] + "." + parts[1] + "." + encode(strings.Repeat("\x00", 64)), identity.ReasonSignature}
	out["short signature"] = refusal{parts[0] + "." + parts[1] + "." + encode("x"), identity.ReasonSignature}
	out["alg none, no signature"] = refusal{encode(`{"alg":"none"}`) + "." + forged + ".", identity.ReasonAlgorithm}
	return out
}

// stray returns a token of the same content: the last of 86 letters of a signature
// of 64 bytes has four bits that don't count.
func stray(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	end := len(token) - 1
	return token[:end] + string(alphabet[strings.IndexByte(alphabet, token[end])|1])
}

// confused are tokens signed with a shared secret that is the public RSA key, in
// the forms in which it can be had.
func confused(t *testing.T, b *bench) map[string]refusal {
	t.Helper()
	public, ok := b.idp.PublicKey("RS256").(*rsa.PublicKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]refusal{}
	for form, key := range map[string][]byte{
		"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "modulus": public.N.Bytes(), "PKCS1": x509.MarshalPKCS1PublicKey(public),
	} {
		for alg, reason := range map[string]string{"HS256": identity.ReasonAlgorithm, "RS256": identity.ReasonSignature} {
			token := b.mintWith(t, claims{"alg": alg, "kid": b.idp.KeyID("RS256")}, nil)
			input := token[:strings.LastIndex(token, ".")]
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(input))
			out["confusion "+alg+" "+form] = refusal{input + "." + encode(string(mac.Sum(nil))), reason}
		}
	}
	return out
}

// TestRefused also holds every text that an error or a log makes of a refusal
// against the token.
func TestRefused(t *testing.T) {
	b := newBench(t, nil, "RS256")
	for _, table := range []func(*testing.T, *bench) map[string]refusal{byClaims, byHeader, byBytes, confused} {
		for name, r := range table(t, b) {
			_, err := b.verify(t, r.token)
			if got := identity.ReasonOf(err); got != r.reason {
				t.Errorf("%s: refused for %q, want %q: %v", name, got, r.reason, err)
			}
			var log bytes.Buffer
			slog.New(slog.NewJSONHandler(&log, nil)).Error("refused", "err", err)
			if found := identitytest.Leak(r.token, fmt.Sprintf("%v %+v %#v %s", err, err, err, &log)); found != "" {
				t.Errorf("%s: the error shows %q", name, found)
			}
		}
	}
	b.accept(t, b.mint(t, nil))
	if b.fetches() > 1 {
		t.Errorf("refused tokens have made %d fetches", b.fetches())
	}
}

func TestAccepted(t *testing.T) {
	b := newBench(t, func(cfg *oidc.Config, _ *oidctest.Provider) {
		cfg.Issuers[0].Audiences = []string{"other", audience}
		cfg.Issuers[0].Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}, "RS256", "EdDSA")
	now := b.Now().Unix()
	for name, extra := range map[string]claims{
		"audience in a list": {"aud": []string{"x", audience}},
		"nbf within skew":    {"nbf": now + 30},
		"iat within skew":    {"iat": now + 30},
		"oldest":             {"iat": now - 86400},
		"fraction":           {"iat": float64(now) - 0.5, "exp": float64(now) + 60.5},
		"eight actors":       {"act": nest(8)},
		"unicode":            {"sub": "Zoë 李", "name": "Ω"},
		"no groups":          {"groups": []string{}},
	} {
		if _, err := b.verify(t, b.mint(t, extra)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, header := range map[string]claims{
		"no typ": {"typ": nil}, "at+jwt": {"typ": "at+jwt"}, "media type": {"typ": "application/AT+JWT"}, "no kid": {"kid": nil},
		"jku": {"jku": "https://evil.example/keys"}, "x5u": {"x5u": "https://evil.example/cert"}, "x5t": {"x5t": "abc"},
	} {
		if _, err := b.verify(t, b.mintWith(t, header, nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		token, err := b.idp.MintWith(algorithm, nil, usual(nil))
		if err != nil {
			t.Fatal(err)
		}
		b.accept(t, token)
	}
}
