package mask

// constant returns the redacted form of kinds for which it is the same for all
// values, in text and in binary. Each is accepted by the type's input and receive
// functions.
func constant(k Kind) (text, binary string, ok bool) {
	switch k {
	case KindBool:
		return "f", zeros[:1], true
	case KindBytea:
		return `\x`, "", true
	case KindChar:
		return "*", "*", true
	case KindInt2:
		return "0", zeros[:2], true
	case KindInt4, KindOID, KindFloat4:
		return "0", zeros[:4], true
	case KindInt8, KindXID8, KindFloat8, KindNumeric:
		return "0", zeros[:8], true
	case KindXML:
		return "<redacted/>", "<redacted/>", true
	case KindJSON:
		return `"[redacted]"`, `"[redacted]"`, true
	case KindJSONB:
		return `"[redacted]"`, "\x01" + `"[redacted]"`, true
	case KindJSONPath:
		return "$", "\x01$", true
	case KindUUID:
		return "00000000-0000-0000-0000-000000000000", zeros[:16], true
	case KindVarbit, KindTSVector:
		return "", zeros[:4], true
	case KindTSQuery: // one operand: an empty query has no binary form that is read back
		return "'redacted'", "\x00\x00\x00\x01\x01\x00\x00redacted\x00", true
	case KindRange:
		return "empty", "\x01", true // RANGE_EMPTY
	case KindMultirange:
		return "{}", zeros[:4], true
	}
	if text, binary, ok = constantTime(k); ok {
		return text, binary, true
	}
	if text, binary, ok = constantGeometry(k); ok {
		return text, binary, true
	}
	return constantAddress(k)
}

// zeros is as long as the longest binary form that is all zeros.
const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func constantTime(k Kind) (text, binary string, ok bool) {
	switch k {
	case KindDate:
		return "2000-01-01", zeros[:4], true
	case KindTime:
		return "00:00:00", zeros[:8], true
	case KindTimeTZ:
		return "00:00:00+00", zeros[:12], true
	case KindTimestamp:
		return "2000-01-01 00:00:00", zeros[:8], true
	case KindTimestampTZ:
		return "2000-01-01 00:00:00+00", zeros[:8], true
	case KindInterval:
		return "00:00:00", zeros[:16], true
	default:
		return "", "", false
	}
}

func constantGeometry(k Kind) (text, binary string, ok bool) {
	const one = "\x3f\xf0\x00\x00\x00\x00\x00\x00" // the float8 1
	switch k {
	case KindPoint:
		return "(0,0)", zeros[:16], true
	case KindLseg:
		return "[(0,0),(0,0)]", zeros[:32], true
	case KindBox:
		return "(0,0),(0,0)", zeros[:32], true
	case KindPath:
		return "((0,0))", "\x01\x00\x00\x00\x01" + zeros[:16], true // closed, one point
	case KindPolygon:
		return "((0,0))", "\x00\x00\x00\x01" + zeros[:16], true
	case KindLine:
		return "{1,0,0}", one + zeros[:16], true // A and B must not both be 0
	case KindCircle:
		return "<(0,0),0>", zeros[:24], true
	default:
		return "", "", false
	}
}

func constantAddress(k Kind) (text, binary string, ok bool) {
	switch k {
	case KindInet:
		return "0.0.0.0", "\x02\x20\x00\x04" + zeros[:4], true
	case KindCIDR:
		return "0.0.0.0/32", "\x02\x20\x01\x04" + zeros[:4], true
	case KindMACAddr:
		return "00:00:00:00:00:00", zeros[:6], true
	case KindMACAddr8:
		return "00:00:00:00:00:00:00:00", zeros[:8], true
	case KindTID:
		return "(0,0)", zeros[:6], true
	case KindLSN:
		return "0/0", zeros[:8], true
	default:
		return "", "", false
	}
}
