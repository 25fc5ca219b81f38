package approve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
	"unicode/utf8"
)

// maxBody bounds a request's body.
const maxBody = 16 << 10

// answerBody is the JSON form of an Answer.
type answerBody struct {
	Decision string `json:"decision"` // "grant" or "refuse"
	Digest   string `json:"digest"`
	Reason   string `json:"reason"`
	Scope    struct {
		Uses    int    `json:"uses"`
		For     string `json:"for"` // as time.ParseDuration reads it
		Session bool   `json:"session"`
	} `json:"scope"`
}

func readAnswer(r *http.Request) (Answer, error) {
	var body answerBody
	if err := readBody(r, &body); err != nil {
		return Answer{}, err
	}
	return body.answer()
}

func (b *answerBody) answer() (Answer, error) {
	a := Answer{Digest: b.Digest, Reason: b.Reason, Scope: Scope{Uses: b.Scope.Uses, Session: b.Scope.Session}}
	switch b.Decision {
	case "grant":
		a.Grant = true
	case "refuse":
	default:
		return Answer{}, malformed(`"decision" must be "grant" or "refuse"`)
	}
	if len(b.Reason) > maxReasonBytes {
		return Answer{}, malformed(fmt.Sprintf(`"reason" is longer than %d bytes`, maxReasonBytes))
	}
	if b.Scope.For == "" {
		return a, nil
	}
	d, err := time.ParseDuration(b.Scope.For)
	if err != nil {
		return Answer{}, malformed(`"scope.for" must be a duration as "15m"`)
	}
	a.Scope.For = d
	return a, nil
}

func malformed(message string) error {
	return &apiError{status: http.StatusBadRequest, code: "malformed", message: message}
}

// readBody decodes the one JSON object in r's body. The content type is one that
// a page of another origin can't send without asking (Fetch standard, "CORS-
// safelisted request-header").
func readBody(r *http.Request, into any) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return errContentType
	}
	body, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errTooLarge
	}
	if err != nil {
		return malformed("the body can't be read")
	}
	return decodeStrict(body, into)
}

// decodeStrict accepts one JSON object of known members, each at most once and
// spelled exactly: a body that two readers could understand differently is
// refused.
func decodeStrict(body []byte, into any) error {
	if !utf8.Valid(body) {
		return malformed("the body is not UTF-8")
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return malformed("the body is not a JSON object")
	}
	if !uniqueMembers(json.NewDecoder(bytes.NewReader(body))) {
		return malformed("a member of the body is repeated, in capitals, or not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return malformed("the body has unknown members or members of the wrong type")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return malformed("there is data after the JSON object")
	}
	return nil
}

// uniqueMembers reads one value and reports whether it is JSON of which no object
// repeats a name or has a name with capitals: encoding/json would match those
// without regard to case.
func uniqueMembers(dec *json.Decoder) bool {
	token, err := dec.Token()
	if err != nil {
		return false
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return true
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' && !newMember(dec, seen) {
			return false
		}
		if !uniqueMembers(dec) {
			return false
		}
	}
	_, err = dec.Token() // the closing delimiter
	return err == nil
}

func newMember(dec *json.Decoder, seen map[string]bool) bool {
	token, err := dec.Token()
	name, ok := token.(string)
	if err != nil || !ok || seen[name] {
		return false
	}
	seen[name] = true
	for _, c := range []byte(name) {
		if c < 'a' || c > 'z' {
			return false // all known names are of small letters
		}
	}
	return true
}
