package pgproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/headgate/gateway/policy/secret"
)

// mechanismBearer is the SASL mechanism of RFC 7628.
const mechanismBearer = "OAUTHBEARER"

// kvSeparator stands between the fields of its messages, and at their end.
const kvSeparator = "\x01"

// errNoBearer says that a well-formed message holds no bearer token: a client that
// has none yet asks that way where to get it.
var errNoBearer = errors.New("pgproxy: no bearer token")

// parseSASLInitial takes a SASLInitialResponse apart: the mechanism must be the
// one that was offered. present is false where the client sends its message only
// when asked again.
func parseSASLInitial(body []byte) (data []byte, present bool, err error) {
	mechanism, rest, ok := cutString(body)
	if !ok || mechanism != mechanismBearer {
		return nil, false, fmt.Errorf("%w: SASL mechanism", errMalformed)
	}
	n, rest, ok := cutInt32(rest)
	if !ok || n < -1 || n != len(rest) && (n != -1 || len(rest) != 0) {
		return nil, false, fmt.Errorf("%w: SASL initial response", errMalformed)
	}
	return rest, n >= 0, nil
}

// parseBearer returns the "auth" field of a client's first message (RFC 7628,
// section 3.1). Like the server it takes neither channel binding, which the
// mechanism does not have, nor another identity to act as, and every byte must be
// accounted for.
func parseBearer(message []byte) (string, error) {
	flag, rest, ok := bytes.Cut(message, []byte(","))
	if !ok || string(flag) != "n" && string(flag) != "y" {
		return "", malformedBearer("channel binding")
	}
	authzid, rest, ok := bytes.Cut(rest, []byte(","))
	if !ok || len(authzid) != 0 {
		return "", malformedBearer("authorization identity")
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(kvSeparator)); !ok {
		return "", malformedBearer("no separator")
	}
	auth, found := "", false
	for {
		var pair []byte
		if pair, rest, ok = bytes.Cut(rest, []byte(kvSeparator)); !ok {
			return "", malformedBearer("not terminated")
		}
		if len(pair) == 0 {
			break
		}
		key, value, ok := bytes.Cut(pair, []byte("="))
		if !ok || !isKey(key) || !isValue(value) {
			return "", malformedBearer("field")
		}
		if string(key) != "auth" {
			continue // host and port, of no use here
		}
		if found {
			return "", malformedBearer("auth twice")
		}
		auth, found = string(value), true
	}
	if !found || len(rest) != 0 {
		return "", malformedBearer("no auth, or bytes behind the end")
	}
	return auth, nil
}

func malformedBearer(what string) error {
	return fmt.Errorf("%w: OAUTHBEARER: %s", errMalformed, what)
}

func isKey(b []byte) bool {
	for _, c := range b {
		if lower := c | 0x20; lower < 'a' || lower > 'z' {
			return false
		}
	}
	return len(b) > 0
}

func isValue(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

// bearerToken takes the token out of an "auth" field, which has the form of an
// Authorization header (RFC 6750, section 2.1).
func bearerToken(header string) (secret.Value, error) {
	scheme, rest, _ := strings.Cut(header, " ")
	token := strings.TrimLeft(rest, " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return secret.Value{}, errNoBearer
	}
	body := strings.TrimRight(token, "=")
	for i := range len(body) {
		if c := body[i]; !isAlphanumeric(c) && !strings.ContainsRune("-._~+/", rune(c)) {
			return secret.Value{}, errNoBearer
		}
	}
	if body == "" {
		return secret.Value{}, errNoBearer
	}
	return secret.New(token), nil
}

func isAlphanumeric(c byte) bool {
	lower := c | 0x20
	return c >= '0' && c <= '9' || lower >= 'a' && lower <= 'z'
}

// challenge is the error object of RFC 7628, section 3.2.2.
func (o *OAuth) challenge() []byte {
	b, err := json.Marshal(struct {
		Status   string `json:"status"`
		Metadata string `json:"openid-configuration"`
		Scope    string `json:"scope"`
	}{"invalid_token", o.metadata(), o.Scope})
	if err != nil {
		return []byte(`{"status":"invalid_token"}`) // texts always marshal
	}
	return b
}
