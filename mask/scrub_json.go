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
			mark := len(out)
			out = append(out, text[run:start]...)
			found := o.find.anyNamed(out, text[start:end], name)
			if name = nil; !found {
				out = out[:mark]
				continue
			}
			out = append(out, '0')
		default:
			name = nil
			continue
		}
		hit, run = true, end
	}
}

// scrubString appends a string of which b is between the quotes, if something is
// found in it or its name, as it is written, announces a secret.
func (d *detection) scrubString(dst, b, name []byte) (out []byte, hit bool, err error) {
	out, name = unescapedJSON(dst, name)
	out, text := unescapedJSON(out, b)
	announced := d.want.Has(scan.Secret) && scan.Announced(name, text)
	if !announced && d.surelyClean(text) {
		return dst, false, nil
	}
	var few [fewSpans]scan.Span
	spans, out, err := d.namedSpans(few[:0], out, name, text)
	mid := len(out)
	if announced {
		out, err = d.replace(out, text, scan.Secret, Type{Kind: KindText})
		hit = true
	} else {
		out, hit, err = d.rewrite(out, text, Type{Kind: KindText}, spans, err)
	}
	if err != nil || !hit {
		return dst, hit, err
	}
	end := len(out)
	out = appendJSONString(out, bytes.ToValidUTF8(out[mid:end], []byte("?")))
	return append(out[:len(dst)], out[end:]...), true, nil
}

// unescapedJSON returns what a string means of which b is between the quotes. What
// has to be written for that is appended to dst.
func unescapedJSON(dst, b []byte) (out, meant []byte) {
	if bytes.IndexByte(b, '\\') < 0 {
		return dst, b
	}
	out = appendJSONUnescaped(dst, b)
	return out, out[len(dst):]
}

// maxContext is how much of a member's name is looked at.
const maxContext = 40

// namedSpans is spans for a member's value. Its name is taken for words before it,
// but for detectors of the host. What has to be written is appended to dst.
func (d *detection) namedSpans(spans []scan.Span, dst, name, text []byte) (found []scan.Span, out []byte, err error) {
	if len(name) == 0 {
		found, err = d.spans(spans, text)
		return found, dst, err
	}
	start := len(dst)
	out = append(append(dst, name[max(0, len(name)-maxContext):]...), `": "`...)
	n := len(out) - start
	out = append(out, text...)
	found = spans[:0]
	for _, s := range scan.Append(spans, out[start:], d.want) {
		if s.Start >= n {
			found = append(found, scan.Span{Start: s.Start - n, End: s.End - n, Kind: s.Kind})
		}
	}
	found, err = d.hostSpans(found, text)
	return found, out, err
}

// anyNamed reports whether something is found in a number that is a member's value.
// It writes behind dst.
func (d *detection) anyNamed(dst, number, name []byte) bool {
	if d.surelyClean(number) {
		return false
	}
	dst, name = unescapedJSON(dst, name)
	var few [fewSpans]scan.Span
	spans, _, err := d.namedSpans(few[:0], dst, name, number)
	return len(spans) > 0 || err != nil
}
