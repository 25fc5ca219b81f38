package mask_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// partsPlan masks some of six columns.
func partsPlan(t testing.TB, methods ...string) *mask.Plan {
	t.Helper()
	types := []mask.Type{
		{Kind: mask.KindText}, {Kind: mask.KindInt8}, {Kind: mask.KindJSONB},
		{Kind: mask.KindText, Array: true}, {Kind: mask.KindMoney}, {Kind: mask.KindText},
	}
	var masks []policy.Mask
	columns := make([]mask.Column, len(types))
	for i, typ := range types {
		name := string(rune('a' + i))
		columns[i] = mask.Column{Sources: []mask.Source{{Schema: "s", Table: "t", Column: name}}, Traced: true, Type: typ}
		if m := methods[i%len(methods)]; m == mask.MethodDetect {
			masks = append(masks, policy.Mask{Table: "s.t", Column: name, Method: mask.MethodRedact, Detect: []string{mask.DetectAll}})
		} else if m != "" {
			masks = append(masks, policy.Mask{Table: "s.t", Column: name, Method: m, Keep: 2})
		}
	}
	rules, err := newSet(t, nil).Rules(masks)
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, rules, columns...)
}

func partsPlans(t testing.TB) []*mask.Plan {
	t.Helper()
	return []*mask.Plan{
		partsPlan(t, ""), partsPlan(t, mask.MethodRedact), partsPlan(t, mask.MethodNull), partsPlan(t, mask.MethodHash),
		partsPlan(t, mask.MethodRedact, ""), partsPlan(t, "", mask.MethodRedact), partsPlan(t, mask.MethodPartial, "", ""),
		partsPlan(t, "", "", mask.MethodEmail), partsPlan(t, mask.MethodFake, mask.MethodNull, "", "", "", ""),
		partsPlan(t, mask.MethodDetect), partsPlan(t, mask.MethodDetect, "", mask.MethodRedact), partsPlan(t, "", mask.MethodDetect, "", ""),
	}
}

func partsRows() [][]byte {
	return [][]byte{
		dataRow([]byte("canary"), []byte("4711"), []byte(`{"a": ["b", 1]}`), []byte(`{x,NULL,"y z"}`), []byte("$1.00"), []byte("tail")),
		dataRow([]byte("to x@y.com"), []byte("4711"), []byte("\x01"+`{"a": ["x@y.com", 1]}`), []byte(`{x,x@y.com,"y z"}`), []byte("$1.00"), []byte("x@y.com")),
		dataRow([]byte(""), nil, nil, []byte(`{}`), nil, []byte("")),
		dataRow(nil, nil, nil, nil, nil, nil),
		dataRow(nil, []byte("x"), []byte("{"), []byte(`{`), []byte("-"), nil),
	}
}

// inParts masks a row cut at the given places.
func inParts(plan *mask.Plan, row []byte, cuts ...int) ([]byte, error) {
	p := plan.Parts(len(row))
	var out []byte
	sized, from := -1, 0
	for _, cut := range append(cuts, len(row)) {
		var err error
		if out, err = p.Write(out, row[from:cut]); err != nil {
			return nil, err
		}
		if n, known := p.Size(); known {
			if sized >= 0 && n != sized {
				return nil, errors.New("the size has changed")
			}
			sized = n
		}
		from = cut
	}
	if !p.Done() || sized != len(out) {
		return nil, errors.New("the size was wrong")
	}
	return out, nil
}

// TestPartsAreWhatTheWholeIs cuts rows at every place, and at every pair.
func TestPartsAreWhatTheWholeIs(t *testing.T) {
	for i, plan := range partsPlans(t) {
		for j, row := range partsRows() {
			want, err := plan.Row(nil, row)
			if err != nil {
				t.Fatal(err)
			}
			for a := range len(row) + 1 {
				for b := a; b <= len(row); b++ {
					if got, err := inParts(plan, row, a, b); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("plan %d, row %d, cut at %d and %d: got %q, %v, want %q", i, j, a, b, got, err, want)
					}
				}
			}
		}
	}
}

// TestPartsHoldOnlyWhatTheyMust writes a long value behind a plain one.
func TestPartsHoldOnlyWhatTheyMust(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 1<<20)
	for method, holds := range map[string]bool{mask.MethodRedact: false, mask.MethodNull: false, "": false, mask.MethodHash: true} {
		row := dataRow(long, []byte("1"), nil, nil, nil, []byte("y"))
		p := partsPlan(t, method, "", "", "", "", "").Parts(len(row))
		out, err := p.Write(nil, row[:len(row)/2])
		if err != nil {
			t.Fatal(err)
		}
		if _, known := p.Size(); known == holds {
			t.Errorf("%s: size known is %v", method, known)
		}
		if held := p.Held(); (held > 0) != holds {
			t.Errorf("%s: %d bytes held", method, held)
		}
		if method != "" && len(out) > 64 {
			t.Errorf("%s: %d bytes written", method, len(out))
		}
	}
}

// FuzzParts cuts hostile rows: what comes of them is what comes of the whole, and
// they are refused together.
func FuzzParts(f *testing.F) {
	for i, row := range partsRows() {
		f.Add(uint8(i), uint16(3), uint16(9), row)
	}
	f.Add(uint8(3), uint16(2), uint16(5), binary.BigEndian.AppendUint32([]byte{0, 6}, 1<<31-1))
	plans := partsPlans(f)
	f.Fuzz(func(t *testing.T, i uint8, a, b uint16, row []byte) {
		plan := plans[int(i)%len(plans)]
		first := min(int(a), len(row))
		second := min(first+int(b), len(row))
		want, errWhole := plan.Row(nil, row)
		got, errParts := inParts(plan, row, first, second)
		if (errWhole == nil) != (errParts == nil) || errWhole == nil && !bytes.Equal(got, want) {
			t.Fatalf("got %q, %v, want %q, %v", got, errParts, want, errWhole)
		}
	})
}
