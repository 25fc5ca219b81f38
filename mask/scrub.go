package mask

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/headgate/gateway/mask/internal/scan"
)

// any reports whether something that is looked for is in b.
func (d *detection) any(b []byte) bool {
	return scan.Any(b, d.want) || d.anyOfHost(b)
}

// anyOfHost reports whether a detector of the host finds something in b.
func (d *detection) anyOfHost(b []byte) bool {
	for i, a := range d.hosts {
		if a.method == nil {
			continue
		}
		if _, _, ok, err := d.host[i].find(b, 0); ok || err != nil {
			return true
		}
	}
	return false
}

// surelyClean reports whether b is one of the many texts in which nothing is suspect.
func (d *detection) surelyClean(b []byte) bool {
	_, suspect := scan.Suspect(b)
	return !suspect && !d.asksHost()
}

// asksHost reports whether any detector of the host is asked.
func (d *detection) asksHost() bool {
	return slices.ContainsFunc(d.hosts, func(a action) bool { return a.method != nil })
}

// find calls the detector and checks what it returns.
func (h *hostDetector) find(b []byte, from int) (start, end int, ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: detector panicked", ErrMalformed)
		}
	}()
	start, end, ok = h.detector.Find(b, from)
	if ok && (start < from || end <= start || end > len(b)) {
		return 0, 0, false, fmt.Errorf("%w: detector found nothing", ErrMalformed)
	}
	return start, end, ok, nil
}

// spans appends what is found in b, sorted. Spans may overlap.
func (d *detection) spans(spans []scan.Span, b []byte) ([]scan.Span, error) {
	return d.hostSpans(scan.Append(spans, b, d.want), b)
}

// hostSpans adds what detectors of the host find in b to spans, which are sorted.
func (d *detection) hostSpans(spans []scan.Span, b []byte) ([]scan.Span, error) {
	n := len(spans)
	for i, a := range d.hosts {
		if a.method == nil {
			continue
		}
		for from := 0; from < len(b); {
			start, end, ok, err := d.host[i].find(b, from)
			if err != nil {
				return spans, err
			}
			if !ok {
				break
			}
			spans = append(spans, scan.Span{Start: start, End: end, Kind: scan.Kinds + scan.Kind(i)})
			from = end
		}
	}
	if len(spans) > n {
		scan.Sort(spans)
	}
	return spans, nil
}

// fewSpans is how many spans are found in a text without need for memory.
const fewSpans = 8

// scrub appends b with what is found in it replaced, and reports whether there was
// anything. It is an error if the value has to become NULL.
func (d *detection) scrub(dst, b []byte, t Type) (out []byte, hit bool, err error) {
	var few [fewSpans]scan.Span
	spans, err := d.spans(few[:0], b)
	return d.rewrite(dst, b, t, spans, err)
}

// rewrite is scrub with what spans has returned for b.
func (d *detection) rewrite(dst, b []byte, t Type, spans []scan.Span, broken error) (out []byte, hit bool, err error) {
	if broken != nil {
		out, err = Redact(dst, Value{Bytes: b, Type: t})
		return out, true, err
	}
	start, pos := len(dst), 0
	out = dst
	for _, s := range scan.Resolve(spans, scan.Span{}) {
		out = append(out, b[pos:s.Start]...)
		if out, err = d.replace(out, b[s.Start:s.End], s.Kind, t); err != nil {
			return dst, true, err
		}
		pos = s.End
	}
	out = append(out, b[pos:]...)
	if pos == 0 || t.takes(out[start:]) {
		return out, pos > 0, nil
	}
	out, err = Redact(dst, Value{Bytes: b, Type: t})
	return out, true, err
}

// takes reports whether there is room for b in a value of the type.
func (t Type) takes(b []byte) bool {
	switch {
	case t.Kind == KindName:
		return len(b) <= nameLimit
	case t.Limit > 0:
		return len(b) <= t.Limit || utf8.RuneCount(bytes.TrimRight(b, " ")) <= t.Limit
	default:
		return true
	}
}

// replace appends what stands in the place of something found.
func (d *detection) replace(dst, found []byte, k scan.Kind, t Type) ([]byte, error) {
	var a action
	var name string
	if k < scan.Kinds {
		a, name = d.actions[k], k.String()
	} else {
		a, name = d.hosts[k-scan.Kinds], d.host[k-scan.Kinds].name
	}
	if a.name == MethodNull {
		return dst, ErrNull
	}
	if a.name != MethodRedact && (a.name != MethodEmail || k == scan.Email) {
		out, err := a.method.Mask(dst, Value{Bytes: found, Type: Type{Kind: KindText}, Keep: a.keep})
		if err == nil && (t.Kind.isText() || !bytes.ContainsAny(out[len(dst):], "<>&\"'\\{}(),")) {
			return out, nil
		}
	}
	return append(append(append(dst, '['), name...), ']'), nil
}

// clean reports whether b certainly stays as it is. It is the test that nearly all
// values meet.
func (o *op) clean(b []byte) bool {
	switch k := o.typ.Kind; {
	case o.typ.Array && o.format == Binary, k == KindBytea:
		return false
	case o.isFlat():
		return !o.find.any(b)
	case k.isOpaque() && o.format == Binary:
		return !o.find.anyWithin(b, 0)
	case k.isJSON():
		return bytes.IndexByte(b, '\\') < 0 && !scan.AnyInDocument(b, o.find.want) && !o.find.anyOfHost(b)
	default:
		return bytes.IndexByte(b, '\\') < 0 && !o.find.any(b)
	}
}

// isFlat reports whether a value is nothing but one text.
func (o *op) isFlat() bool { return !o.typ.Array && (o.typ.Kind.isText() || o.typ.Kind == KindXML) }

// appendFound appends before, and then a field with its length, if something is
// found in the field.
func (o *op) appendFound(dst, before, value []byte) (out []byte, hit bool) {
	if o.clean(value) {
		return dst, false
	}
	if out, hit = o.appendScrubbed(append(dst, before...), value); !hit {
		return dst, false
	}
	return out, true
}

// appendFlat is appendFound for a flat value, of which w is suspect.
func (o *op) appendFlat(dst, before, value []byte, w scan.Window) (out []byte, hit bool) {
	var few [fewSpans]scan.Span
	spans := w.Append(few[:0], value, o.find.want)
	if len(spans) == 0 {
		return dst, false
	}
	dst = append(dst, before...)
	start := len(dst)
	out, _, err := o.find.rewrite(append(dst, 0, 0, 0, 0), value, o.typ, spans, nil)
	return endField(dst, out, start, err), true
}

// appendScrubbed appends a field with its length if something is found in it.
func (o *op) appendScrubbed(dst, value []byte) (out []byte, hit bool) {
	c := *o
	c.hit = &hit
	start := len(dst)
	out, err := c.mask(append(dst, 0, 0, 0, 0), value)
	if err == nil && !hit {
		return dst, false
	}
	return endField(dst, out, start, err), true
}

// scrubValue is like appendScrubbed for a value without length.
func (o *op) scrubValue(dst, value []byte) (out []byte, null bool) {
	c, hit := *o, false
	c.hit = &hit
	out, err := c.mask(dst, value)
	switch {
	case err != nil:
		return dst, true
	case !hit:
		return append(dst, value...), false
	default:
		return out, false
	}
}

// scrubElement appends a scalar or an array's element with what is found in it
// replaced.
func (o *op) scrubElement(dst, b []byte) (out []byte, err error) {
	var hit bool
	t := o.typ.elem()
	switch {
	case t.Kind.isText() || t.Kind == KindXML || t.Kind.isOpaque() && o.format == Text:
		out, hit, err = o.find.scrub(dst, b, t)
	case t.Kind.isJSON():
		out, hit, err = o.scrubDocument(dst, b)
	case t.Kind == KindBytea:
		out, hit, err = o.scrubBytea(dst, b)
	case t.Kind.isOpaque():
		out, hit, err = o.scrubUnknown(dst, b)
	default:
		if hit = o.find.any(b); hit {
			out, err = Redact(dst, Value{Bytes: b, Type: t, Format: o.format})
		} else {
			out = append(dst, b...)
		}
	}
	if (hit || err != nil) && o.hit != nil {
		*o.hit = true
	}
	return out, err
}

// scrubBytea looks into bytes that are text.
func (o *op) scrubBytea(dst, b []byte) (out []byte, hit bool, err error) {
	start, text := len(dst), b
	out = dst
	if o.format == Text {
		decoded, err := canonicalBytea(nil, b, false)
		if err != nil {
			return dst, true, err
		}
		text = decoded
	}
	if !isPlain(text) || !o.find.any(text) {
		return append(dst, b...), false, nil
	}
	out, hit, err = o.find.scrub(out, text, Type{Kind: KindText})
	if err != nil || o.format == Binary {
		return out, hit, err
	}
	return appendBytea(dst, Text, bytes.Clone(out[start:])), hit, nil
}

// scrubUnknown looks into the binary form of a type that is not known. If that is
// text, as with enums and extensions' texts, what is found is replaced; the value
// becomes NULL if something is found in any other form.
func (o *op) scrubUnknown(dst, b []byte) (out []byte, hit bool, err error) {
	if isPlain(b) {
		return o.find.scrub(dst, b, Type{})
	}
	if o.find.anyWithin(b, 0) {
		return dst, true, ErrNull
	}
	return append(dst, b...), false, nil
}

// maxWithin bounds how deep composite values are looked into.
const maxWithin = 4

// anyWithin looks into b as bytes, and into its fields where it has the form of a
// composite value or an array: the length before a field could be taken for a
// letter of it.
func (d *detection) anyWithin(b []byte, depth int) bool {
	if d.any(b) || depth > maxWithin {
		return true
	}
	return d.anyField(b, 4, 4, depth) || // count, then for each its type, its length, itself
		len(b) >= arrayHeader && d.anyField(b, arrayHeader+arrayDimension*min(maxDimensions, int(b[3])), 0, depth)
}

// anyField looks into fields that begin at pos, each behind skip bytes and its
// length.
func (d *detection) anyField(b []byte, pos, skip, depth int) bool {
	for pos+skip <= len(b) {
		pos += skip
		end, null, ok := fieldEnd(b, pos)
		if !ok {
			return false
		}
		if !null && end > pos+lengthSize && d.anyWithin(b[pos+lengthSize:end], depth+1) {
			return true
		}
		pos = end
	}
	return false
}
