package mask_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/mask/masktest"
)

const canary = "CaNaRy7z"

// FuzzRow masks every column of hostile rows: the result is a row of as many
// fields, each valid for its type, and nothing of what a canary says is in it.
func FuzzRow(f *testing.F) {
	samples := masktest.Samples()
	for i, s := range samples {
		f.Add(uint8(i), false, s.Text, []byte(canary))
		f.Add(uint8(i), true, s.Binary, []byte(canary))
	}
	f.Add(uint8(12), false, []byte("{\"\\"+canary), []byte{0, 2, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, index uint8, inBinary bool, value, row []byte) {
		format := mask.Text
		if inBinary {
			format = mask.Binary
		}
		v := samples[int(index)%len(samples)].Value(format)
		for _, name := range builtins() {
			plan := sampleCompile(t, name, v)
			fuzzMalformed(t, plan, row)
			hostile := bytes.ReplaceAll(value, []byte("canary"), []byte(canary))
			out, err := plan.Row([]byte("p"), dataRow(append([]byte{}, hostile...)))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkMasked(t, name, v, hostile, out[1:])
		}
	})
}

// fuzzMalformed makes sure that a row is either refused or comes out well formed.
func fuzzMalformed(t *testing.T, plan *mask.Plan, row []byte) {
	t.Helper()
	out, err := plan.Row([]byte("p"), row)
	if err != nil {
		if !errors.Is(err, mask.ErrMalformed) || string(out) != "p" {
			t.Fatalf("refused with %q, %v", out, err)
		}
		return
	}
	if _, ok := onlyField(out[1:]); !ok {
		t.Fatalf("malformed result %x", out)
	}
}

func checkMasked(t *testing.T, name string, v mask.Value, original, row []byte) {
	t.Helper()
	field, ok := onlyField(row)
	if !ok {
		t.Fatalf("%s: malformed result %x", name, row)
	}
	names := v.Type.Kind == mask.KindJSON || v.Type.Kind == mask.KindJSONB // FuzzDocument tells them from values
	reveals := names || name == mask.MethodPartial || name == mask.MethodEmail
	if !reveals && bytes.Contains(original, []byte(canary)) && bytes.Contains(field, []byte(canary)) {
		t.Fatalf("%s: %q became %q", name, original, field)
	}
	if field == nil || v.Type.Array {
		return
	}
	v.Bytes = field
	// Parts of hostile text that a method keeps are as valid as they were.
	if err := mask.Check(v); err != nil {
		t.Fatalf("%s: %q became %q: %v", name, original, field, err)
	}
}

// onlyField decodes a row of one field; nil is NULL.
func onlyField(row []byte) (field []byte, ok bool) {
	if len(row) < 6 || binary.BigEndian.Uint16(row) != 1 {
		return nil, false
	}
	n := int32(binary.BigEndian.Uint32(row[2:]))
	if n == -1 {
		return nil, len(row) == 6
	}
	return row[6:], n >= 0 && len(row) == 6+int(n)
}

// FuzzCheck looks for panics and for values that Check takes but that have no
// pseudonym of their own type.
func FuzzCheck(f *testing.F) {
	samples := masktest.Samples()
	for i, s := range samples {
		f.Add(uint8(i), false, s.Text)
		f.Add(uint8(i), true, s.Binary)
	}
	hash := method(f, mask.MethodHash)
	f.Fuzz(func(t *testing.T, index uint8, inBinary bool, value []byte) {
		format := mask.Text
		if inBinary {
			format = mask.Binary
		}
		v := samples[int(index)%len(samples)].Value(format)
		v.Bytes = value
		if mask.Check(v) != nil {
			return
		}
		out, err := hash.Mask(nil, v)
		if err != nil {
			t.Fatalf("no pseudonym for %q: %v", value, err)
		}
		v.Bytes = out
		if err := mask.Check(v); err != nil {
			t.Fatalf("%q became %q: %v", value, out, err)
		}
	})
}
