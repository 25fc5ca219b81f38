package mask_test

import (
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
