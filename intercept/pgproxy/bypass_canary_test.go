package pgproxy_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// leaks returns the canaries among the bytes received, in any usual disguise, and
// among the columns read downwards.
func (w *wire) leaks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	haystacks := append(columnsDown(w.got), string(w.got))
	for name, needles := range canaries() {
		for _, needle := range needles {
			if slices.ContainsFunc(haystacks, func(h string) bool { return strings.Contains(h, needle) }) {
				found = append(found, name)
				break
			}
		}
	}
	slices.Sort(found)
	return found
}

// canaries are the masked values, each with its disguises.
func canaries() map[string][]string {
	out := map[string][]string{
		"salary": {"7311234567", "7322345678", string(binary.BigEndian.AppendUint64(nil, 7311234567))},
		// The groups of four digits that a binary numeric has.
		"balance": {"884177.3391", string([]byte{0, 88, 0x10, 0x51, 0x0d, 0x3f})},
		"born":    {"1971-03-14", string(binary.BigEndian.AppendUint32(nil, uint32(0xffffffff-10520+1)))},
		"token":   {"5eca0ca1-1111", "\x5e\xca\x0c\xa1\x11\x11\x4b\xad"},
	}
	for _, text := range []string{"canary-ada", "canary-bob", "canary-cyd", "canary-event", "canary-mixed", "canary-json",
		"canary-photo", "411122223333", "987-65-4321"} {
		out[text] = disguises(text)
	}
	return out
}

func disguises(text string) []string {
	reversed := []byte(text)
	slices.Reverse(reversed)
	out := []string{text, strings.ToUpper(text), string(reversed), hex.EncodeToString([]byte(text)),
		strings.ToUpper(hex.EncodeToString([]byte(text)))}
	for offset := range 3 {
		// What base64 makes of the text wherever it begins: whole groups only.
		inner := text[offset : offset+(len(text)-offset)/3*3]
		out = append(out, base64.StdEncoding.EncodeToString([]byte(inner)))
	}
	return out
}

// columnsDown returns the columns of all rows, each cell behind the one above it,
// with small numbers as the characters that they are the codes of.
func columnsDown(stream []byte) []string {
	var columns []string
	for len(stream) >= 5 {
		size := int(binary.BigEndian.Uint32(stream[1:])) + 1
		if size > len(stream) || size < 5 {
			break
		}
		if stream[0] == 'D' {
			for i, cell := range rowCells(stream[5:size]) {
				if i == len(columns) {
					columns = append(columns, "")
				}
				columns[i] += character(cell)
			}
		}
		stream = stream[size:]
	}
	return columns
}

func rowCells(body []byte) []string {
	cells := make([]string, binary.BigEndian.Uint16(body))
	body = body[2:]
	for i := range cells {
		size := int(int32(binary.BigEndian.Uint32(body)))
		body = body[4:]
		if size > 0 {
			cells[i], body = string(body[:size]), body[size:]
		}
	}
	return cells
}

func character(cell string) string {
	var code int
	switch {
	case len(cell) == 4 && cell[:3] == "\x00\x00\x00":
		code = int(cell[3])
	default:
		if _, err := fmt.Sscanf(cell, "%d", &code); err != nil || fmt.Sprint(code) != cell {
			return cell
		}
	}
	if code < ' ' || code > '~' {
		return cell
	}
	return string(rune(code))
}
