package mask_test

import (
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/mask/masktest"
	"github.com/headgate/gateway/policy"
)

// TestDriverDecodesMasks has a driver's decoders read masked values: they must
// read the same value from both formats.
func TestDriverDecodesMasks(t *testing.T) {
	decoded := 0
	for _, name := range []string{mask.MethodRedact, mask.MethodHash, mask.MethodFake, mask.MethodPartial, mask.MethodEmail} {
		for i, s := range masktest.Samples() {
			t.Run(fmt.Sprintf("%s/%d/%s", name, i, s.Name), func(t *testing.T) {
				a, okA := decodeMasked(t, name, &s, mask.Text)
				b, okB := decodeMasked(t, name, &s, mask.Binary)
				if okA != okB || !equal(a, b) {
					t.Errorf("from text %v, from binary %v", a, b)
				}
				if okA {
					decoded++
				}
			})
		}
	}
	if decoded < 100 {
		t.Errorf("only %d values were decoded", decoded)
	}
}

// decodeMasked is false if the driver has no decoder for the type and format.
func decodeMasked(t *testing.T, name string, s *masktest.Sample, f mask.Format) (any, bool) {
	t.Helper()
	types := pgtype.NewMap()
	typ, ok := types.TypeForOID(s.OID)
	if !ok || !typ.Codec.FormatSupported(pgtype.BinaryFormatCode) {
		return nil, false
	}
	plan := sampleCompile(t, name, s.Value(f))
	out, null := plan.Value([]byte{}, 0, s.Value(f).Bytes)
	if null {
		t.Fatal("masked as NULL")
	}
	value, err := typ.Codec.DecodeValue(types, s.OID, int16(f), out)
	if err != nil {
		t.Fatalf("format %d: %q: %v", f, out, err)
	}
	return value, true
}

func sampleCompile(t testing.TB, name string, v mask.Value) *mask.Plan {
	t.Helper()
	rules, err := newSet(t, nil).Rules([]policy.Mask{{Table: "s.t", Column: "c", Method: name, Keep: 2}})
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, rules, mask.Column{
		Sources: []mask.Source{{Schema: "s", Table: "t", Column: "c"}}, Traced: true, Type: v.Type, Format: v.Format,
	})
}

// equal compares times and numbers by value, all else deeply.
func equal(a, b any) bool {
	switch a := a.(type) {
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	case pgtype.Numeric:
		b, ok := b.(pgtype.Numeric)
		return ok && a.NaN == b.NaN && rational(a).Cmp(rational(b)) == 0
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(a, b)
	}
}

func rational(n pgtype.Numeric) *big.Rat {
	if n.Int == nil {
		return new(big.Rat)
	}
	r, _ := new(big.Rat).SetString(fmt.Sprintf("%se%d", n.Int, n.Exp))
	return r
}
