package mask_test

import (
	"testing"

	"github.com/headgate/gateway/internal/labelled"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// searched returns a plan of three columns that are searched for everything, and
// rows with nothing and with two things to find.
func searched(t testing.TB) (*mask.Plan, map[string][]byte) {
	t.Helper()
	rules := compileRules(t, policy.Mask{Table: "*.*", Column: "*", Detect: []string{mask.DetectAll}, Method: mask.MethodRedact})
	columns := []mask.Column{column(mask.Type{Kind: mask.KindText}, "a"), column(mask.Type{Kind: mask.KindText}, "b"), column(mask.Type{Kind: mask.KindText}, "c")}
	note := []byte("called about the order, will call again; waits for an answer by the end of the week")
	return compile(t, rules, columns...), map[string][]byte{
		"nothing": dataRow([]byte("Person 12345"), []byte("ready for delivery"), note),
		"two":     dataRow([]byte("person.12345@example.com"), []byte("4111 1111 1111 1111"), note),
	}
}

// BenchmarkFound replaces what is found in text, and looks in vain.
func BenchmarkFound(b *testing.B) {
	plan, rows := searched(b)
	for name, row := range rows {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(len(row)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, _, err = plan.Rewrite(dst[:0], row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	rules := compileRules(b, policy.Mask{Table: "*.*", Column: "*", Detect: []string{mask.DetectAll}, Method: mask.MethodRedact})
	b.Run("message", func(b *testing.B) {
		rows, dst, size := labelled.Rows(1000), []byte(nil), 0
		for _, row := range rows {
			size += len(row)
		}
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			for _, row := range rows {
				dst = rules.Message(dst[:0], row)
			}
		}
	})
}
