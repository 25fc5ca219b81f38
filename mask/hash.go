package mask

// pseudonymLength is how many characters of five bits stand for a text.
const pseudonymLength = 26

// The labels that keep the methods' pseudonyms apart.
const (
	labelHash = 'h'
	labelFake = 'f'
)

// hashMethod is the method "hash".
type hashMethod struct{ *keyed }

var _ Method = hashMethod{}

// Mask puts a pseudonym in the value's place.
func (m hashMethod) Mask(dst []byte, v Value) ([]byte, error) {
	if v.Type.Array {
		return dst, ErrNull
	}
	return m.mask(dst, v, labelHash, appendHash)
}

func appendHash(dst []byte, v Value, canon []byte, d *digester) ([]byte, error) {
	s := &d.seed
	if v.Type.Kind.isNumber() {
		n := s.number() % (greatest(v.Type) + 1)
		return appendAmount(dst, v, n), nil
	}
	if v.Type.Kind.isText() {
		return s.appendPseudonym(dst, v.Type), nil
	}
	return appendForged(dst, v, canon, s)
}

// appendForged writes the kinds that hash and fake treat alike, and redacts those
// that can't hold a pseudonym.
func appendForged(dst []byte, v Value, canon []byte, s *seed) ([]byte, error) {
	switch k := v.Type.Kind; k {
	case KindBytea:
		return appendBytea(dst, v.Format, s[:]), nil
	case KindUUID:
		return appendUUID(dst, v.Format, s), nil
	case KindInet, KindCIDR:
		return appendInet(dst, v, canon, s), nil
	case KindMACAddr:
		return appendMAC(dst, v.Format, s, 6), nil
	case KindMACAddr8:
		return appendMAC(dst, v.Format, s, 8), nil
	case KindDate, KindTime, KindTimestamp, KindTimestampTZ:
		return appendTime(dst, k, v.Format, s), nil
	case KindJSON, KindJSONB:
		dst = append(appendJSONVersion(dst, k, v.Format), '"')
		return append(s.appendPseudonym(dst, Type{}), '"'), nil
	case KindXML:
		dst = s.appendPseudonym(append(dst, "<masked>"...), Type{})
		return append(dst, "</masked>"...), nil
	default:
		return Redact(dst, v)
	}
}

// appendAmount writes a number, for money in the original's currency.
func appendAmount(dst []byte, v Value, n uint64) []byte {
	if v.Type.Kind == KindMoney {
		return appendMoney(dst, v, n)
	}
	return appendNumber(dst, v.Type.Kind, v.Format, n)
}

// appendPseudonym writes 130 bits of the seed in lower case letters and digits, as
// many of them as fit t.
func (s *seed) appendPseudonym(dst []byte, t Type) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	for i := range min(pseudonymLength, t.room()) {
		bit := 5 * i
		pair := uint16(s[bit/8])<<8 | uint16(s[bit/8+1])
		dst = append(dst, digits[pair>>(11-bit%8)&31])
	}
	return dst
}
