package mask

import (
	"bytes"
	"unicode/utf8"
)

// isJSON reports whether values of k are documents.
func (k Kind) isJSON() bool { return k == KindJSON || k == KindJSONB }

// A document may grow by masking: by so many bytes, or to so many times its
// length. One that would grow more is redacted whole.
const (
	jsonGrowth      = 64 << 10
	jsonGrowthTimes = 4
)

// appendDocument masks the values of a document and keeps its structure: names,
// order, and nulls stay. Strings are masked as texts, numbers as numerics, and
// booleans become false. What is no JSON, or nested too deeply, is redacted whole.
func (o *op) appendDocument(dst, b []byte) ([]byte, error) {
	kind := o.typ.Kind
	text, err := canonicalJSONB(b, kind == KindJSONB && o.format == Binary)
	if err != nil || !utf8.Valid(text) {
		return o.redactDocument(dst, b)
	}
	out, run := appendJSONVersion(dst, kind, o.format), 0
	most := len(dst) + max(jsonGrowthTimes*len(text), len(text)+jsonGrowth)
	s := jsonScanner{text: text}
	for {
		token, start, end := s.next()
		switch token {
		case jsonMalformed:
			return o.redactDocument(dst, b)
		case jsonEnd:
			return append(out, text[run:]...), nil
		case jsonKey, jsonNull, jsonFalse:
			continue
		case jsonString, jsonNumber, jsonTrue:
			out = o.appendScalar(append(out, text[run:start]...), token, text[start:end])
			run = end
		}
		if len(out) > most {
			return o.redactDocument(dst, b)
		}
	}
}

func (o *op) redactDocument(dst, b []byte) ([]byte, error) {
	return Redact(dst, Value{Bytes: b, Type: o.typ.elem(), Format: o.format})
}

// appendScalar appends the masked form of one value of a document.
func (o *op) appendScalar(dst []byte, token jsonToken, b []byte) []byte {
	switch token {
	case jsonString:
		return o.appendMaskedString(dst, b[1:len(b)-1])
	case jsonNumber:
		return o.appendMaskedNumber(dst, b)
	default:
		return append(dst, "false"...)
	}
}

// appendMaskedNumber has the method mask a number. What it makes of it may be no
// number to JSON, as NaN.
func (o *op) appendMaskedNumber(dst, b []byte) []byte {
	out, err := o.method.Mask(dst, Value{Bytes: b, Type: Type{Kind: KindNumeric}, Format: Text, Keep: o.keep})
	if err != nil {
		return append(dst, jsonNullText...)
	}
	if written := out[len(dst):]; jsonNumberLength(written) != len(written) {
		return append(dst, '0')
	}
	return out
}

const jsonNullText = "null"

// appendMaskedString has the method mask the text of a string. What is needed on
// the way is written behind where the result belongs, which is then moved there.
func (o *op) appendMaskedString(dst, b []byte) []byte {
	start, text := len(dst), b
	out := dst
	if bytes.IndexByte(b, '\\') >= 0 {
		out = appendJSONUnescaped(out, b)
		text = out[start:]
	}
	mid := len(out)
	out, err := o.method.Mask(out, Value{Bytes: text, Type: Type{Kind: KindText}, Format: Text, Keep: o.keep})
	if err != nil || !isPlain(out[mid:]) {
		return append(dst, jsonNullText...)
	}
	end := len(out)
	out = appendJSONString(out, out[mid:end])
	return append(out[:start], out[end:]...)
}
