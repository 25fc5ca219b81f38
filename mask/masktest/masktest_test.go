package masktest

import (
	"errors"
	"testing"

	"github.com/headgate/gateway/mask"
)

// faulty are methods that break one rule each.
func faulty() map[string]mask.MethodFunc {
	return map[string]mask.MethodFunc{
		"identity": func(dst []byte, v mask.Value) ([]byte, error) { return append(dst, v.Bytes...), nil },
		"text for all": func(dst []byte, _ mask.Value) ([]byte, error) {
			return append(dst, "hidden"...), nil
		},
		"fresh slice": func(_ []byte, v mask.Value) ([]byte, error) { return mask.Redact(nil, v) },
		"changes dst": func(dst []byte, v mask.Value) ([]byte, error) {
			dst[0] = 'x'
			return mask.Redact(dst, v)
		},
		"changes value": func(dst []byte, v mask.Value) ([]byte, error) {
			if len(v.Bytes) > 0 {
				v.Bytes[0]++
			}
			return mask.Redact(dst, v)
		},
		"panics": func(dst []byte, v mask.Value) ([]byte, error) { return append(dst, v.Bytes[3]), nil },
	}
}

func TestFaultyMethodsFail(t *testing.T) {
	for name, m := range faulty() {
		t.Run(name, func(t *testing.T) {
			failed := 0
			for _, c := range cases() {
				if check(m, c) != nil {
					failed++
				}
			}
			if failed == 0 {
				t.Error("the suite found nothing wrong")
			}
		})
	}
}

func TestReference(t *testing.T) { Run(t, mask.MethodFunc(mask.Redact)) }

func TestConcurrentReportsFaults(t *testing.T) {
	if err := checkConcurrent(faulty()["fresh slice"]); !errors.Is(err, errPrefix) {
		t.Errorf("got %v, want %v", err, errPrefix)
	}
}

func TestSamples(t *testing.T) {
	for _, s := range Samples() {
		for _, f := range [...]mask.Format{mask.Text, mask.Binary} {
			v := s.Value(f)
			if v.Type.Kind == mask.KindUnknown {
				t.Errorf("%s: unknown type", s.Name)
			}
			if len(v.Bytes) == 0 {
				t.Errorf("%s, format %d: no value", s.Name, f)
			}
		}
	}
}
