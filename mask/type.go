package mask

// A Type is what a value is, as far as masking it needs to know. Types are
// comparable. The zero Type stands for all that can't be forged: its values can
// only become NULL.
type Type struct {
	// Kind is the type, or that of the elements of an array.
	Kind Kind
	// Array says that values are arrays, of any number of dimensions.
	Array bool
	// Limit bounds values by the column's declaration; zero means unbounded. It
	// counts characters for KindText and KindBPChar, bits for KindBit and
	// KindVarbit, and digits before the point for KindNumeric, where a negative
	// Limit allows none.
	Limit int
}

// Kind is a scalar type of PostgreSQL. Types that share an encoding share a Kind.
type Kind uint8

// The kinds. The zero Kind can't be forged.
const (
	KindUnknown Kind = iota
	KindBool
	KindBytea
	KindChar // "char", one byte
	KindName
	KindInt2
	KindInt4
	KindInt8
	KindOID // oid, xid, cid: unsigned, 32 bits
	KindXID8
	KindTID
	KindLSN
	KindText // text, varchar(n), refcursor, unknown
	KindBPChar
	KindJSON
	KindJSONB
	KindJSONPath
	KindXML
	KindFloat4
	KindFloat8
	KindNumeric
	KindMoney
	KindMACAddr
	KindMACAddr8
	KindInet
	KindCIDR
	KindDate
	KindTime
	KindTimeTZ
	KindTimestamp
	KindTimestampTZ
	KindInterval
	KindUUID
	KindBit
	KindVarbit
	KindPoint
	KindLseg
	KindPath
	KindBox
	KindPolygon
	KindLine
	KindCircle
	KindTSVector
	KindTSQuery
	KindRange      // of any built-in subtype
	KindMultirange // of any built-in subtype
	kindEnd
)

// isText reports whether values of k are plain text without syntax of its own.
func (k Kind) isText() bool {
	return k == KindText || k == KindBPChar || k == KindName
}

// isNumber reports whether appendNumber can encode a value of k.
func (k Kind) isNumber() bool {
	switch k {
	case KindInt2, KindInt4, KindInt8, KindOID, KindXID8, KindFloat4, KindFloat8, KindNumeric, KindMoney:
		return true
	default:
		return false
	}
}

// delimiter is what separates the elements of an array in text.
func (k Kind) delimiter() byte {
	if k == KindBox {
		return ';'
	}
	return ','
}

// elem returns the type of an array's elements.
func (t Type) elem() Type {
	t.Array = false
	return t
}

// forgeable reports whether there is any valid value to put in place of one.
func (t Type) forgeable() bool { return t.Kind > KindUnknown && t.Kind < kindEnd }
