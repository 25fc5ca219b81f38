package mask

// TypeOID returns the Type for a type OID and type modifier as they stand in a
// PostgreSQL RowDescription (-1 for no modifier). OIDs of built-in types are the
// same in every database; anything else, as enums, composites and the types of
// extensions, is the zero Type: whoever knows the server's catalogue can make a
// Type with a Shape. The server resolves domains to their base type before it
// sends a RowDescription, but not those of elements and fields.
func TypeOID(oid uint32, typmod int32) Type {
	for _, e := range builtin() {
		if e.oid != oid && e.array != oid {
			continue
		}
		t := Type{Kind: e.kind, Array: e.oid != oid, Limit: limit(e.kind, typmod)}
		if t.Array {
			t.Element = e.oid
		}
		return t
	}
	return Type{}
}

type builtinType struct {
	oid, array uint32
	kind       Kind
}

// builtin lists the OIDs of pg_type.dat. Types without an array type have their
// own OID in its place.
func builtin() [76]builtinType {
	return [...]builtinType{
		{16, 1000, KindBool}, {17, 1001, KindBytea}, {18, 1002, KindChar}, {19, 1003, KindName},
		{20, 1016, KindInt8}, {21, 1005, KindInt2}, {23, 1007, KindInt4}, {25, 1009, KindText},
		{26, 1028, KindOID}, {27, 1010, KindTID}, {28, 1011, KindOID}, {29, 1012, KindOID},
		{114, 199, KindJSON}, {142, 143, KindXML}, {600, 1017, KindPoint}, {601, 1018, KindLseg},
		{602, 1019, KindPath}, {603, 1020, KindBox}, {604, 1027, KindPolygon}, {628, 629, KindLine},
		{650, 651, KindCIDR}, {700, 1021, KindFloat4}, {701, 1022, KindFloat8}, {705, 705, KindText},
		{718, 719, KindCircle}, {774, 775, KindMACAddr8}, {790, 791, KindMoney}, {829, 1040, KindMACAddr},
		{869, 1041, KindInet}, {1042, 1014, KindBPChar}, {1043, 1015, KindText}, {1082, 1182, KindDate},
		{1083, 1183, KindTime}, {1114, 1115, KindTimestamp}, {1184, 1185, KindTimestampTZ},
		{1186, 1187, KindInterval}, {1266, 1270, KindTimeTZ}, {1560, 1561, KindBit}, {1562, 1563, KindVarbit},
		{1700, 1231, KindNumeric}, {1790, 2201, KindText}, {2950, 2951, KindUUID}, {3220, 3221, KindLSN},
		{3614, 3643, KindTSVector}, {3615, 3645, KindTSQuery}, {3802, 3807, KindJSONB},
		{3904, 3905, KindRange}, {3906, 3907, KindRange}, {3908, 3909, KindRange}, {3910, 3911, KindRange},
		{3912, 3913, KindRange}, {3926, 3927, KindRange}, {4072, 4073, KindJSONPath}, {5069, 271, KindXID8},
		{4451, 6150, KindMultirange}, {4532, 6151, KindMultirange}, {4533, 6152, KindMultirange},
		{4534, 6153, KindMultirange}, {4535, 6155, KindMultirange}, {4536, 6157, KindMultirange},
		{22, 1006, KindInt2Vector}, {30, 1013, KindOIDVector}, {2275, 1263, KindText},
		{2970, 2949, KindSnapshot}, {5038, 5039, KindSnapshot},
		{24, 1008, KindReg}, {2202, 2207, KindReg}, {2203, 2208, KindReg}, {2204, 2209, KindReg},
		{2205, 2210, KindReg}, {2206, 2211, KindReg}, {3734, 3735, KindReg}, {3769, 3770, KindReg},
		{4089, 4090, KindReg}, {4096, 4097, KindReg}, {4191, 4192, KindReg},
	}
}

// limit reads a type modifier.
func limit(k Kind, typmod int32) int {
	switch k {
	case KindText, KindBPChar:
		return max(0, int(typmod)-4)
	case KindBit, KindVarbit:
		return max(0, int(typmod))
	case KindNumeric:
		return numericLimit(typmod)
	default:
		return 0
	}
}

// numericLimit returns how many digits numeric(p,s) holds before the point. For a
// negative scale it is p, because a value of more digits could be rounded up to
// one that does not fit.
func numericLimit(typmod int32) int {
	if typmod < 4 {
		return 0
	}
	precision := int((typmod - 4) >> 16 & 0xffff)
	scale := int((typmod-4)&0x7ff^1024) - 1024 // 11 bits, signed
	if scale < 0 {
		return precision
	}
	if precision <= scale {
		return -1
	}
	return precision - scale
}
