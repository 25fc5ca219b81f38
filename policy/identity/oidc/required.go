package oidc

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/headgate/gateway/policy/identity"
)

// checkRequired holds t against Issuer.Required. The names that it may put into an
// error are the configuration's.
func (iss *issuer) checkRequired(t *token) error {
	for name, values := range iss.cfg.Required {
		v, ok := t.claims[name]
		if !ok || !oneOf(v, values) {
			return refuse(identity.ReasonClaims, "the required claim "+strconv.Quote(name)+" is missing or has another value")
		}
	}
	return nil
}

// oneOf reports whether v is one of values or an array that contains one.
func oneOf(v any, values []string) bool {
	if len(values) == 0 {
		return true
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	return slices.ContainsFunc(list, func(element any) bool {
		text, ok := scalar(element)
		return ok && slices.Contains(values, text)
	})
}

// scalar returns the text of a string, number or boolean.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}
