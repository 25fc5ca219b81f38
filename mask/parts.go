package mask

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Parts masks one row that comes in parts, as Plan.Row does with a whole one: a
// value that a constant replaces is dropped as it comes, one that passes is handed
// on, and only what a method must see whole is held.
//
// A Parts must not be used concurrently. Once its Write has failed, nothing more
// of the row can be had.
type Parts struct {
	plan *Plan
	// size is the row's length, got how much of it has come.
	size, got int
	// field is the next column; last is behind the last one that is masked.
	field, last int
	// head is the beginning of a number that has come in part.
	head []byte
	// left is how much of the column before field is still to come, op what
	// happens to it: nil if it passes.
	left int
	op   *op
	// held is what has come of a value that op must see whole; drop says that its
	// constant has been written.
	held []byte
	drop bool
	// grown is by how much masking has made the row longer.
	grown int
}

// Parts begins a row of size bytes.
func (p *Plan) Parts(size int) *Parts {
	r := &Parts{plan: p, size: size, head: make([]byte, 0, lengthSize)}
	if p != nil {
		for i := range p.ops {
			if !p.ops[i].passes() {
				r.last = i + 1
			}
		}
	}
	return r
}

// Size returns the length of the masked row. It is not known before the last
// masked column has been written, or, where a constant stands for it, its length.
func (r *Parts) Size() (n int, known bool) {
	settled := r.started() && (r.field > r.last || r.field == r.last && (r.op == nil || r.drop))
	return r.size + r.grown, settled
}

// started reports whether the number of fields has been read.
func (r *Parts) started() bool { return r.got >= 2 }

// Done reports whether all of the row has come.
func (r *Parts) Done() bool { return r.got == r.size }

// Held returns how many bytes of a value wait for its end.
func (r *Parts) Held() int { return len(r.held) }

// Write takes the next part of the row and appends what can be written of the
// masked row to dst. A row that is malformed is an error wrapping [ErrMalformed]:
// the caller must forward nothing more.
func (r *Parts) Write(dst, part []byte) ([]byte, error) {
	if len(part) > r.size-r.got {
		return dst, fmt.Errorf("%w: bytes after a row's end", ErrMalformed)
	}
	for len(part) > 0 || r.left == 0 && r.op != nil {
		n, err := r.step(&dst, part)
		if err != nil {
			return dst, err
		}
		part = part[n:]
		r.got += n
	}
	if r.Done() && (!r.started() || r.left > 0 || r.field < r.plan.Columns()) {
		return dst, fmt.Errorf("%w: a row ends in a field", ErrMalformed)
	}
	return dst, nil
}

// step takes one thing: a part of a number or a part of a value.
func (r *Parts) step(dst *[]byte, part []byte) (n int, err error) {
	switch {
	case !r.started():
		return r.count(dst, part)
	case r.left == 0 && r.op == nil:
		return r.begin(dst, part)
	}
	n = min(r.left, len(part))
	r.left -= n
	switch {
	case r.op == nil:
		*dst = append(*dst, part[:n]...)
	case r.drop:
		r.end()
	case r.left == 0 && len(r.held) == 0:
		r.put(dst, part[:n])
		r.end()
	default:
		r.held = append(r.held, part[:n]...)
		if r.left == 0 {
			r.put(dst, r.held)
			r.end()
		}
	}
	return n, nil
}

// end forgets a masked value that has come to its end.
func (r *Parts) end() {
	if r.left == 0 {
		r.op, r.drop, r.held = nil, false, nil
	}
}

// number gathers a number of so many bytes in head.
func (r *Parts) number(part []byte, size int) (n int, whole bool) {
	n = min(size-len(r.head), len(part))
	r.head = append(r.head, part[:n]...)
	return n, len(r.head) == size
}

// count reads the number of fields.
func (r *Parts) count(dst *[]byte, part []byte) (int, error) {
	n, whole := r.number(part, 2)
	if !whole {
		return n, nil
	}
	if r.plan == nil || int(binary.BigEndian.Uint16(r.head)) != len(r.plan.ops) {
		return 0, fmt.Errorf("%w: row does not have %d fields", ErrMalformed, r.plan.Columns())
	}
	*dst = append(*dst, r.head...)
	r.head = r.head[:0]
	return n, nil
}

// begin reads the length of a field.
func (r *Parts) begin(dst *[]byte, part []byte) (int, error) {
	if r.field >= len(r.plan.ops) {
		return 0, fmt.Errorf("%w: bytes after a row's last field", ErrMalformed)
	}
	n, whole := r.number(part, lengthSize)
	if !whole {
		return n, nil
	}
	length := int(int32(binary.BigEndian.Uint32(r.head))) //nolint:gosec // signed on the wire
	o := &r.plan.ops[r.field]
	r.field++
	switch {
	case length < -1 || length > r.size-r.got-n:
		return 0, fmt.Errorf("%w: field %d of a row", ErrMalformed, r.field-1)
	case length == -1 && !o.whole || o.passes():
		*dst = append(*dst, r.head...)
		r.left = max(0, length)
	default:
		r.op, r.left = o, max(0, length)
		if o.isConstant() {
			r.put(dst, nil)
			r.drop = true
		} else if length > len(part)-n {
			r.held = slices.Grow(r.held, length)
		}
	}
	r.head = r.head[:0]
	return n, nil
}

// put writes the masked form of a value.
func (r *Parts) put(dst *[]byte, value []byte) {
	before := len(*dst)
	length := len(value)
	if r.op.isConstant() {
		length = r.left
	}
	*dst = r.op.appendField(*dst, value)
	r.grown += len(*dst) - before - lengthSize - length
}

// isConstant reports whether the masked form is the same for all values.
func (o *op) isConstant() bool {
	switch {
	case o.name == MethodNull || o.whole:
		return true
	case o.name != MethodRedact || o.typ.Array || o.typ.Kind == KindComposite || o.typ.Kind.isJSON():
		return false
	default:
		return o.typ.Kind != KindMoney && (o.typ.Kind != KindBit || o.typ.Limit > 0)
	}
}
