package identity_test

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// proving returns a verifier that accepts or refuses whatever it gets.
func proving(subject string, expires time.Time) identity.Verifier {
	return identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
		if subject == "" {
			return policy.Identity{}, &identity.Error{Reason: identity.ReasonUnknown}
		}
		return policy.Identity{Subject: subject, Method: "test", Expires: expires}, nil
	})
}

func TestByEvidence(t *testing.T) {
	soon, late := time.Unix(1000, 0), time.Unix(2000, 0)
	token, certificate, none := proving("token", late), proving("certificate", soon), proving("", late)
	certificates := []*x509.Certificate{{}}
	for name, tc := range map[string]struct {
		verifier identity.ByEvidence
		proof    identity.Proof
		subject  string
		expires  time.Time
		reason   string
	}{
		"token":                      {identity.ByEvidence{Token: token, Certificate: none}, identity.Proof{Token: secret.New("x")}, "token", late, ""},
		"certificate":                {identity.ByEvidence{Token: none, Certificate: certificate}, identity.Proof{Certificates: certificates}, "certificate", soon, ""},
		"both":                       {identity.ByEvidence{Token: token, Certificate: certificate}, identity.Proof{Token: secret.New("x"), Certificates: certificates}, "token", soon, ""},
		"both, bad certificate":      {identity.ByEvidence{Token: token, Certificate: none}, identity.Proof{Token: secret.New("x"), Certificates: certificates}, "", time.Time{}, identity.ReasonUnknown},
		"both, bad token":            {identity.ByEvidence{Token: none, Certificate: certificate}, identity.Proof{Token: secret.New("x"), Certificates: certificates}, "", time.Time{}, identity.ReasonUnknown},
		"both, no certificates used": {identity.ByEvidence{Token: token}, identity.Proof{Token: secret.New("x"), Certificates: certificates}, "token", late, ""},
		"both, no tokens used":       {identity.ByEvidence{Certificate: certificate}, identity.Proof{Token: secret.New("x"), Certificates: certificates}, "", time.Time{}, identity.ReasonUnsupported},
		"unused certificate":         {identity.ByEvidence{Token: token}, identity.Proof{Certificates: certificates}, "", time.Time{}, identity.ReasonUnsupported},
		"nothing":                    {identity.ByEvidence{Token: token, Certificate: certificate}, identity.Proof{Claimed: "root"}, "", time.Time{}, identity.ReasonUnsupported},
		"zero":                       {identity.ByEvidence{}, identity.Proof{Token: secret.New("x"), Certificates: certificates}, "", time.Time{}, identity.ReasonUnsupported},
	} {
		id, err := tc.verifier.Verify(t.Context(), tc.proof)
		if id.Subject != tc.subject || !id.Expires.Equal(tc.expires) || identity.ReasonOf(err) != tc.reason {
			t.Errorf("%s: got %+v, %v", name, id, err)
		}
	}
}
