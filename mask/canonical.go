package mask

import "bytes"

// nameLimit is the greatest length of a name in bytes: NAMEDATALEN-1.
const nameLimit = 63

// canonical returns the form of a value that is the same in every format, so that
// equal values have equal pseudonyms. The result is scratch extended or a part of
// v.Bytes.
func canonical(scratch []byte, v Value) ([]byte, error) {
	b, binary := v.Bytes, v.Format == Binary
	switch v.Type.Kind {
	case KindText, KindName, KindXML, KindJSON:
		return b, nil
	case KindBPChar:
		return bytes.TrimRight(b, " "), nil
	case KindJSONB:
		return canonicalJSONB(b, binary)
	case KindBytea:
		return canonicalBytea(scratch, b, binary)
	case KindUUID:
		return canonicalUUID(scratch, b, binary)
	case KindInet, KindCIDR:
		return canonicalInet(scratch, b, binary)
	case KindMACAddr:
		return canonicalMAC(scratch, b, binary, 6)
	case KindMACAddr8:
		return canonicalMAC(scratch, b, binary, 8)
	case KindDate, KindTime, KindTimestamp, KindTimestampTZ:
		return canonicalTime(scratch, v.Type.Kind, b, binary)
	default:
		return canonicalNumber(scratch, v.Type.Kind, b, binary)
	}
}

func canonicalNumber(scratch []byte, k Kind, b []byte, binary bool) ([]byte, error) {
	switch k {
	case KindBool:
		return canonicalBool(scratch, b, binary)
	case KindInt2, KindInt4, KindInt8, KindOID, KindXID8:
		return canonicalInt(scratch, k, b, binary)
	case KindFloat4, KindFloat8:
		return canonicalFloat(scratch, k, b, binary)
	case KindNumeric:
		return canonicalNumeric(scratch, b, binary)
	case KindMoney:
		return canonicalMoney(scratch, b, binary)
	default:
		return nil, ErrMalformed
	}
}

// class separates kinds whose canonical forms could be the same bytes. Kinds that
// are joined with one another share a class.
func (k Kind) class() byte {
	switch k {
	case KindText, KindBPChar, KindName:
		return 't'
	case KindInt2, KindInt4, KindInt8, KindOID, KindXID8:
		return 'i'
	case KindJSON, KindJSONB:
		return 'j'
	case KindInet, KindCIDR:
		return 'a'
	default:
		return 0x80 + byte(k)
	}
}
