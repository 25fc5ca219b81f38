package oidc

import (
	"errors"

	"github.com/headgate/gateway/policy/identity"
)

// refuse returns a refusal. The text is fixed: nothing of a token gets into it.
func refuse(reason, text string) error {
	return &identity.Error{Reason: reason, Err: errors.New(text)}
}
