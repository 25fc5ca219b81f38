// Package masktest holds the suite that a mask.Method must pass, and sample values
// of all types to test with.
package masktest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/headgate/gateway/mask"
)

// Run tests that m keeps the contract of mask.Method: it appends, changes nothing
// else, returns valid values of the same type, never gives back a whole value,
// takes malformed values without panic, and may be called concurrently (run the
// test with -race). A method may answer any value with an error.
func Run(t *testing.T, m mask.Method) {
	t.Helper()
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := check(m, c); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("concurrent", func(t *testing.T) {
		t.Parallel()
		if err := checkConcurrent(m); err != nil {
			t.Error(err)
		}
	})
}

// A testCase is one call. The value is secret if it is long enough not to be hit
// upon by chance.
type testCase struct {
	name   string
	value  mask.Value
	secret bool
}

// cases are the samples of scalars, and what is malformed, for each format and
// several numbers of characters to keep.
func cases() []testCase {
	var out []testCase
	for i, s := range Samples() {
		for _, f := range [...]mask.Format{mask.Text, mask.Binary} {
			v := s.Value(f)
			if v.Type.Array {
				continue
			}
			name := fmt.Sprintf("%d/%s/format=%d", i, s.Name, f)
			out = append(out, keepCases(name, v)...)
			out = append(out, malformedCases(name, v)...)
		}
	}
	return out
}

func keepCases(name string, v mask.Value) []testCase {
	keeps := [...]int{0, 3, len(v.Bytes), 1000}
	out := make([]testCase, 0, len(keeps))
	for _, keep := range keeps {
		v.Keep = keep
		secret := len(v.Bytes) >= 6 && !bytes.Equal(v.Bytes, make([]byte, len(v.Bytes)))
		out = append(out, testCase{fmt.Sprintf("%s/keep=%d", name, keep), v, secret})
	}
	return out
}

func malformedCases(name string, v mask.Value) []testCase {
	inputs := [...]string{
		"", "\x00", "\xff\xfe canary", "{", "\\", "\"", "@", "a@", "- (", "[canary", "99999999999999999999999",
		"0000-00-00 00:00:00", string(bytes.Repeat([]byte{0xff}, 24)), string(bytes.Repeat([]byte("9"), 4096)),
	}
	out := make([]testCase, 0, len(inputs))
	for i, b := range inputs {
		v.Bytes, v.Keep = []byte(b), 2
		out = append(out, testCase{fmt.Sprintf("%s/malformed=%d", name, i), v, false})
	}
	return out
}

var (
	errPrefix = errors.New("the bytes before the value were changed")
	errInput  = errors.New("the value given was changed")
	errSecret = errors.New("the whole value came back")
)

// check makes one call and returns what is wrong with it.
func check(m mask.Method, c testCase) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	prefix := []byte("before")
	dst := append(make([]byte, 0, 16), prefix...)
	original := slices.Clone(c.value.Bytes)
	out, callErr := m.Mask(dst, c.value)
	switch {
	case !bytes.Equal(original, c.value.Bytes):
		return errInput
	case !bytes.Equal(dst, prefix):
		return errPrefix
	case callErr != nil:
		return nil
	case !bytes.HasPrefix(out, prefix):
		return errPrefix
	}
	out = out[len(prefix):]
	if c.secret && bytes.Contains(out, original) {
		return errSecret
	}
	masked := c.value
	masked.Bytes = out
	if err := mask.Check(masked); err != nil {
		return fmt.Errorf("masked value %q: %w", out, err)
	}
	return nil
}

// checkConcurrent makes the same calls from several goroutines.
func checkConcurrent(m mask.Method) error {
	const workers = 4
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		wg.Go(func() {
			for _, c := range cases() {
				if err := check(m, c); err != nil {
					errs[i] = fmt.Errorf("%s: %w", c.name, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
