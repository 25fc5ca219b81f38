package mask

import "fmt"

// custom keeps the promises of this package for a method that it does not know:
// what it returns is checked to be of the type, a panic is an error, and the rest
// of the row is out of its reach.
type custom struct{ method Method }

var _ Method = custom{}

// Mask calls the method for values whose encoding can be checked afterwards, and
// redacts others.
func (c custom) Mask(dst []byte, v Value) ([]byte, error) {
	if !v.Type.Kind.checked() {
		return Redact(dst, v)
	}
	out, err := c.call(dst[len(dst):], v)
	if err != nil {
		return dst, err
	}
	v.Bytes = out
	if err := Check(v); err != nil {
		return dst, err
	}
	return append(dst, out...), nil
}

func (c custom) call(dst []byte, v Value) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: method panicked", ErrNull)
		}
	}()
	return c.method.Mask(dst, v)
}

// checked reports whether Check knows more forms of k than the redacted one.
func (k Kind) checked() bool {
	switch k {
	case KindBool, KindBytea, KindUUID, KindBit, KindVarbit, KindInet, KindCIDR, KindMACAddr, KindMACAddr8,
		KindDate, KindTime, KindTimestamp, KindTimestampTZ, KindJSON, KindJSONB, KindXML:
		return true
	default:
		return k.isText() || k.isNumber()
	}
}
