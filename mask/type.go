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
	// Element is the OID of an array's elements, which the empty array has to name.
	Element uint32
	// Shape is what a type that users have made consists of, for KindEnum and
	// KindComposite. Types are equal if they share it.
	Shape *Shape
}

// A Shape says what a type that users have made consists of. It must not change
// once it is in use.
type Shape struct {
	// Label is the label of an enum that stands for masked values. Without one
	// they become NULL.
	Label string
	// Fields are the types of a composite type's fields, in order, without those
	// that have been dropped. A field of the zero Type becomes NULL.
	Fields []Type
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
	KindRange      // of any subtype
	KindMultirange // of any subtype
	KindReg        // regclass and its like
	KindSnapshot   // pg_snapshot, txid_snapshot
	KindInt2Vector
	KindOIDVector
	KindEnum      // with a Shape
	KindComposite // with a Shape
	kindEnd
)

// isText reports whether values of k are plain text without syntax of its own.
func (k Kind) isText() bool {
	return k == KindText || k == KindBPChar || k == KindName
}

// isOpaque reports whether only what is found in values of k tells what they hold.
func (k Kind) isOpaque() bool { return k == KindUnknown || k == KindComposite }

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
	t.Array, t.Element = false, 0
	return t
}

// forgeable reports whether there is any valid value to put in place of one.
func (t Type) forgeable() bool {
	switch t.Kind {
	case KindEnum:
		return t.Shape != nil && t.Shape.Label != ""
	case KindComposite:
		return t.Shape != nil
	default:
		return t.Kind > KindUnknown && t.Kind < kindEnd
	}
}
