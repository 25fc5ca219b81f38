package copystream_test

import (
	"fmt"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
)

// BenchmarkStream rewrites one column of four, a message for each row.
func BenchmarkStream(b *testing.B) {
	row := "123456\tPerson 123456\tperson.123456@example.com\tcalled about the order, will call again; waits for an answer by the end of the week\n"
	for _, format := range []copystream.Format{copystream.Text, copystream.CSV} {
		for _, constant := range []bool{false, true} {
			b.Run(fmt.Sprint(format, constant), func(b *testing.B) {
				c := config(format, true)
				c.Delimiter, c.Columns, c.Constant = '\t', []bool{false, false, true, false}, []bool{false, false, constant, false}
				c.Value = func(dst []byte, _ int, _ []byte) ([]byte, bool) { return append(dst, "[redacted]"...), false }
				s, err := copystream.New(c)
				if err != nil {
					b.Fatal(err)
				}
				out, in := make([]byte, 0, 1024), []byte(row)
				b.SetBytes(int64(len(row)))
				b.ReportAllocs()
				for b.Loop() {
					if out, err = s.Write(out[:0], in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
