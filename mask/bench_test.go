package mask_test

import (
	"fmt"
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// benchColumns is a row of eight columns of which the first few are masked.
func benchColumns(t testing.TB, method string, masked int) (*mask.Plan, []byte) {
	t.Helper()
	rules := compileRules(t, policy.Mask{Table: "s.t", Column: "masked", Method: method, Keep: 4})
	columns := make([]mask.Column, 0, 8)
	fields := make([][]byte, 0, 8)
	for i := range 8 {
		name := "plain"
		if i < masked {
			name = "masked"
		}
		typ, value := mask.Type{Kind: mask.KindText}, "alice.liddell@example.com"
		if i%2 == 1 {
			typ, value = mask.Type{Kind: mask.KindInt8}, "1234567890"
		}
		columns = append(columns, column(typ, name))
		fields = append(fields, []byte(value))
	}
	return compile(t, rules, columns...), dataRow(fields...)
}

func BenchmarkRow(b *testing.B) {
	for _, method := range builtins() {
		for _, masked := range []int{0, 1, 4} {
			b.Run(fmt.Sprintf("%s/masked=%d", method, masked), func(b *testing.B) {
				plan, row := benchColumns(b, method, masked)
				var dst []byte
				b.SetBytes(int64(len(row)))
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if dst, err = plan.Row(dst[:0], row); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkArray(b *testing.B) {
	plan := sampleCompile(b, mask.MethodRedact, mask.Value{Type: arrayOf(mask.KindText)})
	row := dataRow([]byte(`{"alice liddell","bob \"the\" builder",NULL,carol}`))
	var dst []byte
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = plan.Row(dst[:0], row); err != nil {
			b.Fatal(err)
		}
	}
}
