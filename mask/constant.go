package mask

// constant returns the redacted form of kinds for which it is the same for all
// values, in text and in binary. Each is accepted by the type's input and receive
// functions.
func constant(k Kind) (text, binary string, ok bool) {
	switch k {
	case KindBool:
		return "f", zero1, true
	case KindBytea:
		return `\x`, "", true
	case KindChar:
		return "*", "*", true
	case KindInt2:
		return "0", zero2, true
	case KindInt4, KindOID, KindFloat4:
		return "0", zero4, true
	case KindInt8, KindXID8, KindFloat8, KindNumeric:
		return "0", zero8, true
	case KindXML:
		return "<redacted/>", "<redacted/>", true
	case KindJSON:
		return `"[redacted]"`, `"[redacted]"`, true
	case KindJSONB:
		return `"[redacted]"`, "\x01" + `"[redacted]"`, true
	case KindJSONPath:
		return "$", "\x01$", true
	case KindUUID:
		return "00000000-0000-0000-0000-000000000000", zero16, true
	case KindVarbit, KindTSVector:
		return "", zero4, true
	case KindTSQuery: // one operand: an empty query has no binary form that is read back
		return "'redacted'", "\x00\x00\x00\x01\x01\x00\x00redacted\x00", true
	case KindRange:
		return "empty", "\x01", true // RANGE_EMPTY
	case KindMultirange:
		return "{}", zero4, true
	case KindReg:
		return "0", zero4, true // no object
	case KindSnapshot: // 1:1:
		return "1:1:", zero4 + zero4 + "\x00\x00\x00\x01" + zero4 + "\x00\x00\x00\x01", true
	default:
		if text, binary, ok = constantVector(k); ok {
			return text, binary, true
		}
		if text, binary, ok = constantTime(k); ok {
			return text, binary, true
		}
		if text, binary, ok = constantGeometry(k); ok {
			return text, binary, true
		}
		return constantAddress(k)
	}
}

// constantVector is one zero: an empty vector has no binary form that is read back.
func constantVector(k Kind) (text, binary string, ok bool) {
	const one, lower = "\x00\x00\x00\x01", zero4 // one dimension of one element, from 0 on
	switch k {
	case KindInt2Vector:
		return "0", one + zero4 + "\x00\x00\x00\x15" + one + lower + "\x00\x00\x00\x02" + zero2, true
	case KindOIDVector:
		return "0", one + zero4 + "\x00\x00\x00\x1a" + one + lower + "\x00\x00\x00\x04" + zero4, true
	default:
		return "", "", false
	}
}

// Runs of zero bytes, constant so that joining them costs nothing.
const (
	zero1  = "\x00"
	zero2  = zero1 + zero1
	zero4  = zero2 + zero2
	zero6  = zero4 + zero2
	zero8  = zero4 + zero4
	zero12 = zero8 + zero4
	zero16 = zero8 + zero8
	zero24 = zero16 + zero8
	zero32 = zero16 + zero16
)

func constantTime(k Kind) (text, binary string, ok bool) {
	switch k {
	case KindDate:
		return "2000-01-01", zero4, true
	case KindTime:
		return "00:00:00", zero8, true
	case KindTimeTZ:
		return "00:00:00+00", zero12, true
	case KindTimestamp:
		return "2000-01-01 00:00:00", zero8, true
	case KindTimestampTZ:
		return "2000-01-01 00:00:00+00", zero8, true
	case KindInterval:
		return "00:00:00", zero16, true
	default:
		return "", "", false
	}
}

func constantGeometry(k Kind) (text, binary string, ok bool) {
	const one = "\x3f\xf0\x00\x00\x00\x00\x00\x00" // the float8 1
	switch k {
	case KindPoint:
		return "(0,0)", zero16, true
	case KindLseg:
		return "[(0,0),(0,0)]", zero32, true
	case KindBox:
		return "(0,0),(0,0)", zero32, true
	case KindPath:
		return "((0,0))", "\x01\x00\x00\x00\x01" + zero16, true // closed, one point
	case KindPolygon:
		return "((0,0))", "\x00\x00\x00\x01" + zero16, true
	case KindLine:
		return "{1,0,0}", one + zero16, true // A and B must not both be 0
	case KindCircle:
		return "<(0,0),0>", zero24, true
	default:
		return "", "", false
	}
}

func constantAddress(k Kind) (text, binary string, ok bool) {
	switch k {
	case KindInet:
		return "0.0.0.0", "\x02\x20\x00\x04" + zero4, true
	case KindCIDR:
		return "0.0.0.0/32", "\x02\x20\x01\x04" + zero4, true
	case KindMACAddr:
		return "00:00:00:00:00:00", zero6, true
	case KindMACAddr8:
		return "00:00:00:00:00:00:00:00", zero8, true
	case KindTID:
		return "(0,0)", zero6, true
	case KindLSN:
		return "0/0", zero8, true
	default:
		return "", "", false
	}
}
