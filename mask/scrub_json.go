package mask

import (
	"bytes"

	"github.com/headgate/gateway/mask/internal/scan"
)

// scrubDocument replaces what is found in the strings of a document, names
// included. A number in which something is found becomes 0. What is no JSON is
// redacted whole.
func (o *op) scrubDocument(dst, b []byte) (out []byte, hit bool, err error) {
	kind := o.typ.Kind
	text, err := canonicalJSONB(b, kind == KindJSONB && o.format == Binary)
	if err != nil {
		out, err = o.redactDocument(dst, b)
		return out, true, err
	}
	out, run := appendJSONVersion(dst, kind, o.format), 0
	s := jsonScanner{text: text}
	var name []byte
	for {
		token, start, end := s.next()
		switch token {
		case jsonMalformed:
			out, err = o.redactDocument(dst, b)
			return out, true, err
		case jsonEnd:
			return append(out, text[run:]...), hit, nil
		case jsonKey, jsonString:
			mark := len(out)
			var found bool
			out, found, err = o.find.scrubString(append(out, text[run:start]...), text[start+1:end-1], name)
			if err != nil {
				return dst, true, err
			}
			if name = nil; token == jsonKey {
				name = text[start+1 : end-1]
			}
			if !found {
				out = out[:mark]
				continue
			}
		case jsonNumber:
			if name = nil; !o.find.any(text[start:end]) {
				continue
			}
			out = append(append(out, text[run:start]...), '0')
		default:
			name = nil
			continue
		}
		hit, run = true, end
	}
}

// scrubString appends a string of which b is between the quotes, if something is
// found in it or its name announces a secret.
func (d *detection) scrubString(dst, b, name []byte) (out []byte, hit bool, err error) {
	start, text := len(dst), b
	out = dst
	if bytes.IndexByte(b, '\\') >= 0 {
		out = appendJSONUnescaped(out, b)
		text = out[start:]
	}
	mid := len(out)
	announced := d.want.Has(scan.Secret) && scan.Announced(name, text)
	if !announced && d.surelyClean(text) {
		return dst, false, nil
	}
	if announced {
		out, err = d.replace(out, text, scan.Secret, Type{Kind: KindText})
		hit = true
	} else {
		out, hit, err = d.scrub(out, text, Type{Kind: KindText})
	}
	if err != nil || !hit {
		return dst, hit, err
	}
	end := len(out)
	out = appendJSONString(out, bytes.ToValidUTF8(out[mid:end], []byte("?")))
	return append(out[:start], out[end:]...), true, nil
}
