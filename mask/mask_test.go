package mask_test

import (
	"errors"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/mask/masktest"
	"github.com/headgate/gateway/policy/secret"
)

const testKey = "0123456789abcdef0123456789abcdef"

func newSet(t testing.TB, methods map[string]mask.Method) *mask.Set {
	t.Helper()
	s, err := mask.NewSet(mask.Config{Key: secret.New(testKey), Methods: methods})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func method(t testing.TB, name string) mask.Method {
	t.Helper()
	m, err := newSet(t, nil).Method(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compile(t testing.TB, rules *mask.Rules, columns ...mask.Column) *mask.Plan {
	t.Helper()
	plan, err := mask.Compile(rules, columns)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func builtins() []string {
	return []string{
		mask.MethodNull, mask.MethodRedact, mask.MethodHash,
		mask.MethodFake, mask.MethodPartial, mask.MethodEmail,
	}
}

func TestBuiltins(t *testing.T) {
	for _, name := range builtins() {
		t.Run(name, func(t *testing.T) { masktest.Run(t, method(t, name)) })
	}
}

// TestCustomIsContained runs the suite on methods that break it, as a Set wraps
// them.
func TestCustomIsContained(t *testing.T) {
	for name, f := range map[string]mask.MethodFunc{
		"text for all":  func(dst []byte, _ mask.Value) ([]byte, error) { return append(dst, "hidden"...), nil },
		"fresh slice":   func(_ []byte, v mask.Value) ([]byte, error) { return mask.Redact(nil, v) },
		"panics":        func([]byte, mask.Value) ([]byte, error) { panic("out of order") },
		"nothing":       func([]byte, mask.Value) ([]byte, error) { return nil, nil },
		"overwrites":    func(dst []byte, _ mask.Value) ([]byte, error) { return append(dst[:0], 'x'), nil },
		"nil, by error": nil,
	} {
		t.Run(name, func(t *testing.T) {
			m, err := newSet(t, map[string]mask.Method{"own": f}).Method("own")
			if err != nil {
				t.Fatal(err)
			}
			masktest.Run(t, m)
		})
	}
}

// otherKey returns the method "hash" under a key of its own.
func otherKey(t testing.TB) mask.Method {
	t.Helper()
	s, err := mask.NewSet(mask.Config{Key: secret.New("another key of some length")})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Method(mask.MethodHash)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNewSetRefuses(t *testing.T) {
	own := mask.MethodFunc(mask.Redact)
	for name, cfg := range map[string]mask.Config{
		"short key":  {Key: secret.New("fifteen bytes..")},
		"built-in":   {Methods: map[string]mask.Method{mask.MethodNull: own}},
		"no name":    {Methods: map[string]mask.Method{"": own}},
		"nil method": {Methods: map[string]mask.Method{"own": nil}},
	} {
		if s, err := mask.NewSet(cfg); err == nil || s != nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMethodWithoutKey(t *testing.T) {
	s, err := mask.NewSet(mask.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		mask.MethodHash: mask.ErrNoKey, mask.MethodFake: mask.ErrNoKey,
		"shuffle": mask.ErrUnknownMethod, "": mask.ErrUnknownMethod,
		mask.MethodRedact: nil, mask.MethodPartial: nil, mask.MethodEmail: nil, mask.MethodNull: nil,
	} {
		if _, err := s.Method(name); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
	var none *mask.Set
	if _, err := none.Method(mask.MethodRedact); !errors.Is(err, mask.ErrUnknownMethod) {
		t.Errorf("nil set: %v", err)
	}
}

// TestKeyIsCopied: clearing the secret afterwards must not change pseudonyms.
func TestKeyIsCopied(t *testing.T) {
	key := secret.New(testKey)
	s, err := mask.NewSet(mask.Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	key.Zero()
	m, err := s.Method(mask.MethodHash)
	if err != nil {
		t.Fatal(err)
	}
	v := mask.Value{Bytes: []byte("alice"), Type: text(0)}
	got, _ := m.Mask(nil, v)
	want, _ := method(t, mask.MethodHash).Mask(nil, v)
	if string(got) != string(want) {
		t.Errorf("pseudonym %q, want %q", got, want)
	}
}
