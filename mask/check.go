package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Check reports whether v is a valid encoding for its type, format and limit. It
// knows the forms that a server sends, not all that it would accept. It returns
// an error wrapping [ErrMalformed] without anything of v's bytes.
//
// For kinds of which this package knows only the redacted form, as geometry and
// ranges, that form alone is valid.
func Check(v Value) error {
	if v.Type.Array || !v.Type.forgeable() || v.Format > Binary || v.Type.Kind == KindComposite {
		return fmt.Errorf("%w: type can't be checked", ErrMalformed)
	}
	if v.Type.Kind == KindBit || v.Type.Kind == KindVarbit {
		return checkBits(v)
	}
	if isConstant(v) {
		return nil
	}
	canon, err := canonical(nil, v)
	if err != nil {
		return err
	}
	if !fits(v, canon) {
		return fmt.Errorf("%w: value does not fit its type", ErrMalformed)
	}
	return nil
}

// isConstant reports whether v is what redaction would make of it.
func isConstant(v Value) bool {
	if v.Type.Kind == KindEnum {
		return string(v.Bytes) == v.Type.Shape.Label
	}
	text, binary, ok := constant(v.Type.Kind)
	if !ok {
		return false
	}
	if v.Format == Binary {
		return string(v.Bytes) == binary
	}
	return string(v.Bytes) == text
}

// fits checks what the canonical form of a value does not show.
func fits(v Value, canon []byte) bool {
	switch v.Type.Kind {
	case KindText, KindBPChar:
		return isPlain(canon) && (v.Type.Limit == 0 || utf8.RuneCount(canon) <= v.Type.Limit)
	case KindName:
		return isPlain(canon) && len(canon) <= nameLimit
	case KindJSON, KindJSONB:
		return isPlain(canon) && json.Valid(canon)
	case KindXML:
		return isPlain(canon)
	case KindNumeric:
		return v.Type.Limit == 0 || integerDigits(canon) <= max(0, v.Type.Limit)
	default:
		return true
	}
}

// isPlain reports whether a server with UTF-8 takes b as text.
func isPlain(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }
