package config

import (
	"context"
	"errors"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/identity/mtls"
	"github.com/headgate/gateway/policy/identity/oidc"
	"github.com/headgate/gateway/policy/identity/static"
)

// verifier makes a verifier of static tokens, issuers and certificates. What a
// client presents decides which of them is asked; certificates are looked at only
// where some count.
func (r *resolver) verifier(id Identity) identity.Verifier {
	var all []identity.Verifier
	if len(id.Static) > 0 {
		if v, err := static.New(r.tokens(id.Static)); err != nil {
			r.problems.report(id.below("static"), err)
		} else {
			all = append(all, v)
		}
	}
	if len(id.OIDC) > 0 {
		if v, err := oidc.New(oidcConfig(id.OIDC)); err != nil {
			r.problems.report(id.below("oidc"), err)
		} else {
			r.closers = append(r.closers, func(context.Context) error { return v.Close() })
			all = append(all, v)
		}
	}
	out := identity.ByEvidence{Token: anyOf(all)}
	if len(id.MTLS) > 0 {
		out.Certificate = r.certificates(id.MTLS)
	}
	return out
}

// certificates makes a verifier of client certificates.
func (r *resolver) certificates(all []Certificates) identity.Verifier {
	kinds := map[string]mtls.Name{"spiffe": mtls.SPIFFE, "dns": mtls.DNS, "common-name": mtls.CommonName}
	out := make([]identity.Verifier, 0, len(all))
	for _, c := range all {
		if c.Roots == "" || c.Issuer == "" {
			continue // reported when it was read
		}
		v, err := mtls.New(mtls.Config{
			Roots: r.roots(c.below("roots"), c.Roots), Name: kinds[c.Name], TrustDomains: c.TrustDomains, Issuer: c.Issuer,
		})
		if err != nil {
			r.problems.report(c.place, err)
			continue
		}
		out = append(out, v)
	}
	return anyOf(out)
}

// tokens gets the tokens. Those that could not be got have been reported.
func (r *resolver) tokens(all []StaticToken) static.Config {
	var cfg static.Config
	for _, t := range all {
		if token := r.secret(t.Token); !token.IsEmpty() {
			id := policy.Identity{Subject: t.Subject, Issuer: "static", Groups: t.Groups}
			cfg.Tokens = append(cfg.Tokens, static.Token{Token: token, Identity: id})
		}
	}
	return cfg
}

func oidcConfig(issuers []Issuer) oidc.Config {
	var cfg oidc.Config
	for _, i := range issuers {
		cfg.Issuers = append(cfg.Issuers, oidc.Issuer{
			URL: i.URL, Audiences: i.Audiences, Algorithms: i.Algorithms, Types: i.Types, MaxAge: i.MaxAge, JWKSURL: i.JWKSURL,
			Mapping: oidc.Mapping{Subject: i.SubjectClaim, Groups: i.GroupsClaim},
		})
	}
	return cfg
}

// anyOf accepts what one of the verifiers accepts. The reason of a refusal is
// that of the last one that knew what to do with the token.
func anyOf(all []identity.Verifier) identity.Verifier {
	return identity.VerifierFunc(func(ctx context.Context, p identity.Proof) (policy.Identity, error) {
		refusal := error(&identity.Error{Reason: identity.ReasonUnsupported})
		for _, v := range all {
			id, err := v.Verify(ctx, p)
			if err == nil {
				return id, nil
			}
			if says(refusal) == "" || says(err) != "" {
				refusal = err
			}
		}
		return policy.Identity{}, refusal
	})
}

// says returns the reason of a refusal, "" for those that only say that the
// token is another verifier's.
func says(err error) string {
	e, ok := errors.AsType[*identity.Error](err)
	if ok && (e.Reason == identity.ReasonUnknown || e.Reason == identity.ReasonUnsupported || e.Reason == identity.ReasonMalformed) {
		return ""
	}
	return identity.ReasonOf(err)
}
