package pgproxy

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/headgate/gateway/record"
)

// maxReplayed bounds what a Renderer shows of one entry, and of a message that
// is cut in two by entries.
const maxReplayed = 64 << 10

// NewRenderer returns a function for record.ReplayOptions.Render that shows what
// a PostgreSQL session released as rows, results of calls, tags and errors rather
// than as bytes. Each replay needs one of its own; it is not safe for concurrent
// use. What it can't read it leaves to the default.
func NewRenderer() func(record.Entry) string {
	r := new(renderer)
	return r.render
}

// renderer carries what a message needs of those before it: entries end where
// the gateway's reads ended, within messages too.
type renderer struct {
	carry []byte
	skip  int
}

func (r *renderer) render(e record.Entry) string {
	if e.Type != record.TypeOutput || e.Stream != 0 {
		return ""
	}
	var lines []string
	size := 0
	r.messages(e.Payload, func(typ byte, body []byte) {
		if line := describeMessage(typ, body); line != "" && size < maxReplayed {
			size += len(line)
			lines = append(lines, line)
		}
	})
	if len(lines) == 0 {
		return fmt.Sprintf("%d bytes", len(e.Payload))
	}
	return strings.Join(lines, "\n")
}

// messages calls show for each whole message; long ones are passed over.
func (r *renderer) messages(p []byte, show func(byte, []byte)) {
	n := min(r.skip, len(p))
	r.skip -= n
	b := append(r.carry, p[n:]...)
	for len(b) >= headerSize {
		size, err := bodyLength(b)
		if err != nil {
			r.carry = nil
			return
		}
		if len(b) < headerSize+size {
			if size > maxReplayed {
				show(b[0], nil)
				r.skip, b = headerSize+size-len(b), nil
			}
			break
		}
		show(b[0], b[headerSize:headerSize+size])
		b = b[headerSize+size:]
	}
	r.carry = append([]byte(nil), b...)
}

func describeMessage(typ byte, body []byte) string {
	switch typ {
	case msgRowDescription:
		return describeLayout(body)
	case msgDataRow:
		return describeRow(body)
	case msgFunctionResponse:
		return describeRow(append([]byte{0, 1}, body...))
	case msgCommandComplete:
		tag, _, _ := cutString(body)
		return tag
	case msgError, msgNotice:
		return describeProblem(body)
	default:
		return ""
	}
}

func describeLayout(body []byte) string {
	fields, err := parseLayout(body, nil)
	if err != nil {
		return ""
	}
	names := make([]string, len(fields))
	rest := body[2:]
	for i := range names {
		names[i], rest, _ = cutString(rest)
		rest = rest[18:]
	}
	return "(" + strings.Join(names, ", ") + ")"
}

func describeRow(body []byte) string {
	n, rest, ok := cutInt16(body)
	if !ok || n < 0 || len(rest) < 4*n {
		return "(a long row)"
	}
	values := make([]string, n)
	for i := range values {
		var size int
		if size, rest, ok = cutInt32(rest); !ok || size > len(rest) {
			return ""
		}
		if size < 0 {
			values[i] = "NULL"
			continue
		}
		values[i] = show(rest[:size])
		rest = rest[size:]
	}
	return strings.Join(values, " | ")
}

// show returns a value as text if it is text, otherwise in hexadecimal: whether a
// value was sent as text is not always in the record.
func show(value []byte) string {
	if len(value) > maxReplayed {
		return fmt.Sprintf("%d bytes", len(value))
	}
	printable := utf8.Valid(value) && !strings.ContainsFunc(string(value), func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' })
	if printable {
		return string(value)
	}
	return `\x` + hex.EncodeToString(value)
}

func describeProblem(body []byte) string {
	parts := map[byte]string{}
	for rest := body; len(rest) > 1 && rest[0] != 0; {
		value, next, ok := cutString(rest[1:])
		if !ok {
			break
		}
		parts[rest[0]] = value
		rest = next
	}
	return fmt.Sprintf("%s %s: %s", parts['S'], parts['C'], parts['M'])
}
