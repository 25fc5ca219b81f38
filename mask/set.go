package mask

import (
	"fmt"

	"github.com/headgate/gateway/policy/secret"
)

// Config says what a Set consists of.
type Config struct {
	// Key is the secret from which "hash" and "fake" make pseudonyms, at least 16
	// bytes that can't be guessed: who knows it can confirm a guessed value.
	// Pseudonyms are the same wherever the key is. Without a key, rules that use
	// these two methods are refused.
	Key secret.Value
	// Methods are further methods by name. A name must not be empty or that of a
	// built-in method. What such a method returns is checked with [Check]: for
	// types of which Check knows only the redacted form it is not called, and the
	// value is redacted. For a value that it can't mask it returns an error, and
	// the value becomes NULL.
	Methods map[string]Method
	// Detectors find further things in text, by the names that policies use for
	// them. A name must not be empty, "all" or that of a built-in kind.
	Detectors map[string]Detector
}

// A Set holds masking methods by name. It is immutable and safe for concurrent
// use. A nil Set has no methods.
type Set struct {
	methods   map[string]Method
	detectors []hostDetector
	keyless   bool
}

// NewSet returns a Set of the built-in methods and those of cfg.
func NewSet(cfg Config) (*Set, error) {
	s := &Set{methods: map[string]Method{
		MethodNull:    MethodFunc(nil),
		MethodRedact:  MethodFunc(Redact),
		MethodPartial: MethodFunc(partial),
		MethodEmail:   MethodFunc(email),
	}}
	if err := s.addKeyed(cfg.Key); err != nil {
		return nil, err
	}
	for name, m := range cfg.Methods {
		if name == "" || m == nil || strictness(name) > 0 {
			return nil, fmt.Errorf("mask: method %q: empty, nil or a built-in one", name)
		}
		s.methods[name] = custom{m}
	}
	var err error
	s.detectors, err = sortedDetectors(cfg.Detectors)
	return s, err
}

func (s *Set) addKeyed(key secret.Value) error {
	if key.IsEmpty() {
		s.keyless = true
		return nil
	}
	if len(key.Reveal()) < minKey {
		return fmt.Errorf("mask: the key is shorter than %d bytes", minKey)
	}
	k := newKeyed(key)
	s.methods[MethodHash] = hashMethod{k}
	s.methods[MethodFake] = fakeMethod{k}
	return nil
}

// Method returns a method by name. Its error wraps [ErrUnknownMethod] or
// [ErrNoKey].
func (s *Set) Method(name string) (Method, error) {
	if s == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownMethod, name)
	}
	if m, ok := s.methods[name]; ok {
		return m, nil
	}
	if s.keyless && strictness(name) > 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoKey, name)
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownMethod, name)
}

// strictness orders the built-in methods by how much they hide. It is zero for
// other methods, about which nothing is known.
func strictness(name string) int {
	switch name {
	case MethodNull:
		return 6
	case MethodRedact:
		return 5
	case MethodHash:
		return 4
	case MethodFake:
		return 3
	case MethodPartial:
		return 2
	case MethodEmail:
		return 1
	default:
		return 0
	}
}
