package oidc

import (
	"encoding/base64"
	"strings"

	"github.com/headgate/gateway/policy/identity"
)

// A token is a JWT in compact serialization (RFC 7515 §7.1) that is well-formed.
// Nothing in it has been verified.
type token struct {
	raw     string
	header  header
	payload []byte
	claims  map[string]any
}

// A header is what counts of a JOSE header.
type header struct {
	algorithm string
	keyID     string
	mediaType string
}

const maxKeyIDBytes = 1024

// parse takes raw apart. It accepts one way of writing each part only: base64url
// without padding, white space or stray bits, and JSON without duplicates.
func parse(raw string) (*token, error) {
	head, rest, _ := strings.Cut(raw, ".")
	body, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return nil, refuse(identity.ReasonMalformed, "not a signed JWT of three parts")
	}
	headerDoc, okHeader := decodePart(head)
	payload, okPayload := decodePart(body)
	if !okHeader || !okPayload {
		return nil, refuse(identity.ReasonMalformed, "a part is not base64url")
	}
	t := &token{raw: raw, payload: payload}
	if err := t.header.decode(headerDoc); err != nil {
		return nil, err
	}
	if _, ok := decodePart(signature); !ok {
		return nil, refuse(identity.ReasonMalformed, "the signature is not base64url")
	}
	claims, err := decodeObject(payload)
	if err != nil {
		return nil, &identity.Error{Reason: identity.ReasonMalformed, Err: err}
	}
	t.claims = claims
	return t, nil
}

// decodePart decodes strict base64url, which isn't empty. The decoder of the
// standard library skips line ends, so they are looked for here.
func decodePart(part string) ([]byte, bool) {
	if part == "" || strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	out, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return out, err == nil
}

// decode reads a header and refuses those that ask for anything but a plain
// signature. An algorithm that no issuer may use is refused before the claims
// are read.
func (h *header) decode(doc []byte) error {
	members, err := decodeObject(doc)
	if err != nil {
		return &identity.Error{Reason: identity.ReasonMalformed, Err: err}
	}
	for _, name := range []string{"crit", "b64", "enc", "zip", "jwk", "x5c"} {
		if _, ok := members[name]; ok {
			return refuse(identity.ReasonMalformed, "the header has "+name)
		}
	}
	ok := true
	text := func(name string) string {
		v, there := members[name]
		s, isText := v.(string)
		ok = ok && (isText || !there)
		return s
	}
	h.algorithm, h.keyID, h.mediaType = text("alg"), text("kid"), mediaType(text("typ"))
	contentType := mediaType(text("cty"))
	switch {
	case !ok || len(h.keyID) > maxKeyIDBytes:
		return refuse(identity.ReasonMalformed, "a header is not a text, or too long")
	case contentType == "jwt":
		return refuse(identity.ReasonMalformed, "a token within a token")
	case !knownAlgorithm(h.algorithm):
		return refuse(identity.ReasonAlgorithm, "the algorithm is none that can be allowed")
	}
	return nil
}

// mediaType returns t without what RFC 7515 §4.1.9 lets be left out.
func mediaType(t string) string {
	return strings.TrimPrefix(strings.ToLower(t), "application/")
}
