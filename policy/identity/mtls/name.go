package mtls

import (
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSubject bounds a subject, as SPIFFE bounds its ids.
const maxSubject = 2048

var errName = errors.New("the certificate has not exactly one proper name of the kind asked for")

// subject takes the name out of a verified certificate.
func (v *Verifier) subject(leaf *x509.Certificate, chain []*x509.Certificate) (string, error) {
	var name string
	switch {
	case v.cfg.Name == SPIFFE && len(leaf.URIs) == 1:
		name = v.spiffe(leaf.URIs[0])
	case v.cfg.Name == DNS && len(leaf.DNSNames) == 1 && !strings.Contains(leaf.DNSNames[0], "*"):
		name = strings.ToLower(leaf.DNSNames[0])
	case v.cfg.Name == CommonName && countCommonNames(leaf) == 1 && !slices.ContainsFunc(chain[1:], isConstrained):
		name = leaf.Subject.CommonName
	}
	if name == "" || len(name) > maxSubject || !isPlain(name) {
		return "", errName
	}
	return name, nil
}

func countCommonNames(leaf *x509.Certificate) int {
	n := 0
	for _, attribute := range leaf.Subject.Names {
		if attribute.Type.String() == "2.5.4.3" {
			n++
		}
	}
	return n
}

func isConstrained(c *x509.Certificate) bool {
	return c.PermittedDNSDomainsCritical || len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+
		len(c.ExcludedIPRanges)+len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+
		len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0
}

// isPlain refuses names that look like others where they are shown.
func isPlain(name string) bool {
	return utf8.ValidString(name) && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
}

// spiffe returns an id as it is written, "" if it is not one of the trust domains'.
func (v *Verifier) spiffe(u *url.URL) string {
	if u.Scheme != "spiffe" || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" {
		return ""
	}
	if !slices.Contains(v.cfg.TrustDomains, u.Host) || !isSPIFFEPath(u.Path) {
		return ""
	}
	return "spiffe://" + u.Host + u.Path
}

func isTrustDomain(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}

// isSPIFFEPath reports whether path names a workload: segments of letters, digits
// and "-._", none of them empty, "." or "..".
func isSPIFFEPath(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		if strings.ContainsFunc(segment, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
		}) {
			return false
		}
	}
	return true
}
