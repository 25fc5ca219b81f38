package mask

import (
	"fmt"
	"slices"

	"github.com/headgate/gateway/mask/internal/scan"
	"github.com/headgate/gateway/policy"
)

// A Detector finds something in text that a policy wants hidden wherever it
// stands. It is how a host adds its own to the built-in kinds.
//
// Find returns where the first match at or behind from begins and ends, or false
// if there is none. A match must not be empty. Find is called concurrently and for
// every text on the data path: it must take time linear in len(text), and it must
// neither change text nor keep it. A Detector that panics, or returns what is no
// match, makes the whole text be redacted.
type Detector interface {
	Find(text []byte, from int) (start, end int, ok bool)
}

// DetectorFunc makes a Detector of a function. A nil DetectorFunc finds fault with
// every text, which is then redacted.
type DetectorFunc func(text []byte, from int) (start, end int, ok bool)

// Find calls f.
func (f DetectorFunc) Find(text []byte, from int) (start, end int, ok bool) {
	if f == nil {
		return 0, 0, true
	}
	return f(text, from)
}

// The kinds of data that are found in text by their form, as policies name them.
const (
	// DetectAll stands for all kinds and all detectors of the host.
	DetectAll = "all"
	// DetectEmail finds e-mail addresses.
	DetectEmail = "email"
	// DetectCard finds payment cards by issuer, length and check digit.
	DetectCard = "card"
	// DetectIBAN finds bank accounts by country, length and check digits.
	DetectIBAN = "iban"
	// DetectSSN finds US social security numbers: with dashes, or behind a word
	// that says so. Nine digits alone are none.
	DetectSSN = "ssn"
	// DetectPhone finds international and the usual national telephone numbers.
	DetectPhone = "phone"
	// DetectIP finds IPv4 and IPv6 addresses but for 0.*, 127.*, 255.* and ::1.
	DetectIP = "ip"
	// DetectJWT finds signed and encrypted JSON web tokens by their header.
	DetectJWT = "jwt"
	// DetectPrivateKey finds private keys of PEM, OpenSSH, PGP, PuTTY and age.
	DetectPrivateKey = "private_key"
	// DetectAPIKey finds keys of clouds and vendors by how they begin.
	DetectAPIKey = "api_key"
	// DetectSecret finds what stands behind a name as "password=", and words of 32
	// characters or more that are random by their looks.
	DetectSecret = "secret"
	// DetectURL finds name and password in URLs.
	DetectURL = "url_credentials"
)

// kindNamed returns a built-in kind by its name.
func kindNamed(name string) (scan.Kind, bool) {
	for k := range scan.Kinds {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// A hostDetector is a Detector of the host, of which the spans have kinds from
// scan.Kinds on.
type hostDetector struct {
	name     string
	detector Detector
}

// maxDetectors bounds a host's detectors by the kinds that there can be.
const maxDetectors = 64

// sortedDetectors checks and orders the detectors of a Config.
func sortedDetectors(detectors map[string]Detector) ([]hostDetector, error) {
	out := make([]hostDetector, 0, len(detectors))
	for name, d := range detectors {
		if _, builtin := kindNamed(name); name == "" || name == DetectAll || d == nil || builtin {
			return nil, fmt.Errorf("mask: detector %q: empty, nil or a built-in one", name)
		}
		out = append(out, hostDetector{name, d})
	}
	if len(out) > maxDetectors {
		return nil, fmt.Errorf("mask: more than %d detectors", maxDetectors)
	}
	slices.SortFunc(out, func(a, b hostDetector) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return out, nil
}

// A detectRule is a mask with Detect.
type detectRule struct {
	rule
	kinds scan.Set
	host  uint64 // a bit for each detector of the host
}

// detectRule compiles what a mask wants to be found.
func (s *Set) detectRule(r rule, m policy.Mask) (detectRule, error) {
	d := detectRule{rule: r}
	for _, name := range m.Detect {
		if name == DetectAll {
			d.kinds, d.host = scan.All, 1<<len(s.detectors)-1
			continue
		}
		if k, ok := kindNamed(name); ok {
			d.kinds |= scan.Of(k)
			continue
		}
		i := slices.IndexFunc(s.detectors, func(h hostDetector) bool { return h.name == name })
		if i < 0 {
			return d, fmt.Errorf("%w: detects %q, which is unknown", ErrInvalidRule, name)
		}
		d.host |= 1 << i
	}
	return d, nil
}

// A detection is what is looked for in the values of a column, and what happens to
// what is found.
type detection struct {
	want    scan.Set
	actions [scan.Kinds]action
	host    []hostDetector
	hosts   []action // by the index of host; without method it is not looked for
}

// detection returns what is looked for in a column, nil for nothing. Rules about
// other columns than those that the values come from don't count; where that is
// not known, all do.
func (r *Rules) detection(c *Column) *detection {
	if len(r.detects) == 0 || !c.Type.holdsText() {
		return nil
	}
	plain := c.Traced && !c.Derived && len(c.Sources) > 0
	d := &detection{host: r.host, hosts: make([]action, len(r.host))}
	found := false
	for i := range r.detects {
		rule := &r.detects[i]
		if len(c.Sources) > 0 && !slices.ContainsFunc(c.Sources, rule.matches) {
			continue
		}
		found = true
		d.add(r, rule, plain)
	}
	if !found {
		return nil
	}
	return d
}

// add adds a rule. In what is not taken from a column as it is, what a method
// leaves readable could be steered by the query.
func (d *detection) add(r *Rules, rule *detectRule, plain bool) {
	a := rule.action
	if !plain && a.name != MethodNull {
		a = r.redact
	}
	d.want |= rule.kinds
	for k := range d.actions {
		if rule.kinds.Has(scan.Kind(k)) {
			d.actions[k] = r.stricter(d.actions[k], a)
		}
	}
	for i := range d.hosts {
		if rule.host>>i&1 == 1 {
			d.hosts[i] = r.stricter(d.hosts[i], a)
		}
	}
}

// messages returns what is looked for in texts that belong to no column.
func (r *Rules) messages() *detection {
	d := r.detection(&Column{Type: Type{Kind: KindText}})
	if d == nil {
		return nil
	}
	for i, a := range d.actions {
		if a.name == MethodNull {
			d.actions[i] = r.redact
		}
	}
	for i, a := range d.hosts {
		if a.name == MethodNull {
			d.hosts[i] = r.redact
		}
	}
	return d
}

// Detects reports whether any rule looks for something in text. Then all text has
// to be masked with a plan, wherever it comes from.
func (r *Rules) Detects() bool { return r == nil || len(r.detects) > 0 }

// Message appends text to dst with what the rules look for replaced by tags. It is
// for texts that belong to no column, as those of errors. Nil Rules redact it.
func (r *Rules) Message(dst, text []byte) []byte {
	if r == nil {
		return append(dst, redacted...)
	}
	if r.message == nil {
		return append(dst, text...)
	}
	out, _, err := r.message.scrub(dst, text, Type{Kind: KindText})
	if err != nil {
		return append(dst, redacted...)
	}
	return out
}

// holdsText reports whether values of t may hold text. What this package does not
// know may.
func (t Type) holdsText() bool {
	switch t.Kind {
	case KindBool, KindChar, KindUUID, KindBit, KindVarbit, KindInet, KindCIDR, KindMACAddr, KindMACAddr8, KindTID, KindLSN,
		KindDate, KindTime, KindTimeTZ, KindTimestamp, KindTimestampTZ, KindInterval,
		KindPoint, KindLseg, KindPath, KindBox, KindPolygon, KindLine, KindCircle, KindRange, KindMultirange:
		return false
	default:
		return !t.Kind.isNumber()
	}
}
