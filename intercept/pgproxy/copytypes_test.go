package pgproxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestEveryTypeIsMaskedInCopy has COPY send, in text and in binary, what SELECT sends.
func TestEveryTypeIsMaskedInCopy(t *testing.T) {
	for name, options := range servers() {
		t.Run(name, func(t *testing.T) {
			z := newZoo(t, options...)
			conn, wire := z.connectWatched(t)
			for _, method := range zooMethods() {
				for i, columns := range z.tables() {
					for format, cells := range map[int16]func(*testing.T, []byte) [][]byte{0: textCells, 1: binaryCells} {
						want := read(t, conn.PgConn(), fmt.Sprintf("SELECT * FROM %s_%d", method, i), format).Rows[0]
						var data bytes.Buffer
						sql := fmt.Sprintf("COPY %s_%d TO STDOUT %s", method, i, []string{"", "BINARY"}[format])
						if _, err := conn.PgConn().CopyTo(t.Context(), &data, sql); err != nil {
							t.Fatalf("%s: %v", sql, err)
						}
						got := cells(t, data.Bytes())
						if len(got) != len(want) {
							t.Fatalf("%s: %d cells, want %d", sql, len(got), len(want))
						}
						for j, s := range columns {
							if !bytes.Equal(got[j], want[j]) || (got[j] == nil) != (want[j] == nil) {
								t.Errorf("%s: %s %s is %q, want %q", sql, s.typ, s.value, got[j], want[j])
							}
						}
					}
				}
				if found := wire.take(); bytes.Contains(found, []byte("canary")) || bytes.Contains(found, []byte("yranac")) {
					t.Errorf("%s leaked", method)
				}
			}
		})
	}
}

// textCells are the cells of the one row that COPY has sent in text, nil for NULL.
func textCells(t *testing.T, data []byte) [][]byte {
	t.Helper()
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	if len(rest) > 0 {
		t.Fatalf("%d bytes behind a row", len(rest))
	}
	unescape := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\r`, "\r", `\b`, "\b", `\f`, "\f", `\v`, "\v")
	var cells [][]byte
	for cell := range bytes.SplitSeq(line, []byte("\t")) {
		if string(cell) == `\N` {
			cells = append(cells, nil)
			continue
		}
		cells = append(cells, []byte(unescape.Replace(string(cell))))
	}
	return cells
}

// binaryCells are those of a row in binary, between the header and the end.
func binaryCells(t *testing.T, data []byte) [][]byte {
	t.Helper()
	const header = 19
	if len(data) < header+4 || !bytes.HasSuffix(data, []byte("\xff\xff")) {
		t.Fatalf("%q", data)
	}
	row := data[header : len(data)-2]
	cells := make([][]byte, binary.BigEndian.Uint16(row))
	row = row[2:]
	for i := range cells {
		n := int32(binary.BigEndian.Uint32(row))
		if row = row[4:]; n >= 0 {
			cells[i], row = slices.Clone(row[:n:n]), row[n:]
			if n == 0 {
				cells[i] = []byte{}
			}
		}
	}
	if len(row) > 0 {
		t.Fatalf("%d bytes behind the last cell", len(row))
	}
	return cells
}
