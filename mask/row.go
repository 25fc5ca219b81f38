package mask

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/headgate/gateway/mask/internal/scan"
)

// lengthSize is the size of the length before each field of a DataRow.
const lengthSize = 4

// Row appends the masked form of row to dst. Both are the body of a DataRow
// message: the number of fields in 16 bits, then for each its length in 32 bits,
// -1 for NULL, and its bytes (PostgreSQL manual, "Message Formats"). A tuple of
// binary COPY has the same form.
//
// A value that can't be masked becomes NULL. A row that is malformed, or has not
// as many fields as the plan, is an error wrapping [ErrMalformed], and dst is
// returned as it was: the caller must forward nothing.
//
// Row takes time linear in len(row), and once dst has room it does not allocate.
// dst and row must not overlap; row is not kept. Messages are the caller's to
// bound: the result is at most a constant per field, or the limit of its type,
// longer than row.
func (p *Plan) Row(dst, row []byte) ([]byte, error) {
	out, changed, err := p.Rewrite(dst, row)
	if err == nil && !changed {
		out = append(dst, row...)
	}
	return out, err
}

// Rewrite is like Row but appends nothing and reports false where the row stays as
// it is.
func (p *Plan) Rewrite(dst, row []byte) (out []byte, changed bool, err error) {
	if p == nil || len(row) < 2 || int(binary.BigEndian.Uint16(row)) != len(p.ops) {
		return dst, false, fmt.Errorf("%w: row does not have %d fields", ErrMalformed, p.Columns())
	}
	pos, run := 2, 0
	out = dst
	for i := range p.ops {
		end, null, ok := fieldEnd(row, pos)
		if !ok {
			return dst, false, fmt.Errorf("%w: field %d of a row", ErrMalformed, i)
		}
		var hit bool
		if out, hit = p.ops[i].appendChanged(out, row[run:pos], row[pos+lengthSize:end], null); hit {
			run, changed = end, true
		}
		pos = end
	}
	if pos != len(row) {
		return dst, false, fmt.Errorf("%w: bytes after a row's last field", ErrMalformed)
	}
	if !changed {
		return dst, false, nil
	}
	return append(out, row[run:]...), true, nil
}

// appendChanged appends before, and then a field with its length, if the field does
// not stay as it is.
func (o *op) appendChanged(dst, before, value []byte, null bool) (out []byte, changed bool) {
	switch {
	case o.method != nil && (o.whole || !null):
		return o.appendField(append(dst, before...), value), true
	case o.find == nil || null:
		return dst, false
	case !o.flat:
		return o.appendFound(dst, before, value)
	}
	w, suspect := scan.Suspect(value)
	if !suspect {
		return dst, false
	}
	return o.appendFlat(dst, before, value, w)
}

// Value masks one value of a column, for protocols that don't send DataRow, as
// COPY. It appends to dst; null says that the value must be NULL instead. The
// value must not be NULL and in the column's format. A column that the plan does
// not have makes any value NULL. For a NULL call Null.
func (p *Plan) Value(dst []byte, column int, value []byte) (out []byte, null bool) {
	if p == nil || column < 0 || column >= len(p.ops) {
		return dst, true
	}
	o := &p.ops[column]
	if o.method == nil && (o.find == nil || o.clean(value)) {
		return append(dst, value...), false
	}
	if o.method == nil {
		return o.scrubValue(dst, value)
	}
	out, err := o.mask(dst, value)
	if err != nil {
		return dst, true
	}
	return out, false
}

// Null masks a NULL of a column, as Value does other values: where a query could
// say something by which values are NULL, it becomes what they become. It appends
// to dst; null says that it stays NULL.
func (p *Plan) Null(dst []byte, column int) (out []byte, null bool) {
	if p == nil || column < 0 || column >= len(p.ops) || !p.ops[column].whole {
		return dst, true
	}
	out, err := p.ops[column].appendWhole(dst)
	if err != nil {
		return dst, true
	}
	return out, false
}

// fieldEnd returns where the field at pos ends and whether it is NULL.
func fieldEnd(row []byte, pos int) (end int, null, ok bool) {
	if len(row)-pos < lengthSize {
		return 0, false, false
	}
	n := int32(binary.BigEndian.Uint32(row[pos:])) //nolint:gosec // signed on the wire
	pos += lengthSize
	switch {
	case n == -1:
		return pos, true, true
	case n < 0 || int(n) > len(row)-pos:
		return 0, false, false
	default:
		return pos + int(n), false, true
	}
}

// appendField appends a masked field with its length.
func (o *op) appendField(dst, value []byte) []byte {
	start := len(dst)
	if o.find != nil {
		out, hit := dst, false
		if !o.clean(value) {
			out, hit = o.appendScrubbed(dst, value)
		}
		if !hit {
			out = binary.BigEndian.AppendUint32(out, uint32(len(value))) //nolint:gosec // it came with such a length
			out = append(out, value...)
		}
		return out
	}
	out, err := o.mask(append(dst, 0, 0, 0, 0), value)
	return endField(dst, out, start, err)
}

// endField fills in the length of the field that starts at start of out. If there
// was an error it appends NULL to dst.
func endField(dst, out []byte, start int, err error) []byte {
	n := len(out) - start - lengthSize
	if err != nil || n > math.MaxInt32 {
		return append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	binary.BigEndian.PutUint32(out[start:], uint32(n)) //nolint:gosec // checked above
	return out
}

// mask appends the masked form of a value.
func (o *op) mask(dst, value []byte) ([]byte, error) {
	switch {
	case o.whole:
		return o.appendWhole(dst)
	case !o.typ.Array:
		return o.element(dst, value)
	case o.name == MethodNull:
		return dst, ErrNull
	case o.format == Binary:
		return o.appendArrayBinary(dst, value)
	default:
		return o.appendArrayText(dst, value)
	}
}

// appendWhole appends what stands for every value of a column, NULL too.
func (o *op) appendWhole(dst []byte) ([]byte, error) {
	switch {
	case o.name == MethodNull || o.typ.Kind == KindComposite && !o.typ.Array:
		return dst, ErrNull
	case !o.typ.Array:
		return o.method.Mask(dst, Value{Type: o.typ, Format: o.format})
	case o.format == Text:
		return append(dst, "{}"...), nil
	case o.typ.Element == 0:
		return dst, ErrNull
	default: // no dimensions
		return binary.BigEndian.AppendUint32(append(dst, zero8...), o.typ.Element), nil
	}
}

// element appends the masked form of a scalar or of an array's element.
func (o *op) element(dst, value []byte) ([]byte, error) {
	switch {
	case o.find != nil:
		return o.scrubElement(dst, value)
	case o.name == MethodNull:
		return dst, ErrNull
	case o.typ.Kind == KindComposite && o.format == Binary:
		return o.appendCompositeBinary(dst, value)
	case o.typ.Kind == KindComposite:
		return o.appendCompositeText(dst, value)
	case o.typ.Kind.isJSON():
		return o.appendDocument(dst, value)
	}
	return o.method.Mask(dst, Value{Bytes: value, Type: o.typ.elem(), Format: o.format, Keep: o.keep})
}
