package mask

import "math"

const redacted = "[redacted]"

// Redact is the built-in method "redact" and the reference for others: a constant
// of the value's type. Of the value it shows nothing but, for bit strings of a
// length that the type does not tell, their length, and for money the currency
// sign. Methods can fall back to it; it fails with [ErrNull] for what can't be
// forged, and for composites, whose fields a Plan masks one by one.
func Redact(dst []byte, v Value) ([]byte, error) {
	if v.Type.Array || !v.Type.forgeable() || v.Format > Binary {
		return dst, ErrNull
	}
	switch v.Type.Kind {
	case KindText, KindBPChar, KindName:
		return append(dst, cut(redacted, v.Type)...), nil
	case KindMoney:
		return appendMoney(dst, v, 0), nil
	case KindBit:
		return redactBit(dst, v)
	case KindEnum:
		return append(dst, v.Type.Shape.Label...), nil
	case KindComposite: // a Plan masks its fields
		return dst, ErrNull
	default:
		return redactConstant(dst, v)
	}
}

func redactConstant(dst []byte, v Value) ([]byte, error) {
	text, binary, ok := constant(v.Type.Kind)
	switch {
	case !ok:
		return dst, ErrNull
	case v.Format == Binary:
		return append(dst, binary...), nil
	default:
		return append(dst, text...), nil
	}
}

// cut bounds ASCII text by its type.
func cut(s string, t Type) string { return s[:min(len(s), t.room())] }

// room returns how many bytes a text of the type has room for at least.
func (t Type) room() int {
	switch {
	case t.Kind == KindName:
		return nameLimit
	case t.Limit > 0:
		return t.Limit
	default:
		return math.MaxInt
	}
}
