package scan

// block is how many bytes are classified at a time.
const block = 64

// classes says of which classes the bytes of a block are: the lowest bit is about
// the first byte. Bytes behind the end of a text are of none.
type classes struct {
	digits  uint64
	letters uint64 // of ASCII
	pairs   uint64 // ':' and '='
	ats     uint64 // '@'
	joints  uint64 // '-' and '.'
	gaps    uint64 // ' ' and '/'
	signs   uint64 // '+' and ')'
	zeros   uint64 // '0', which is a digit too
}

// The classes of a byte, a bit for each, in the order of the fields of classes.
const (
	classDigit = 1 << iota
	classLetter
	classPair
	classAt
	classJoint
	classGap
	classSign
	classZero
)

// classOfByte has the classes of each byte.
var classOfByte = func() (of [256]uint8) {
	for c := range of {
		switch {
		case c == '0':
			of[c] = classDigit | classZero
		case isDigit(byte(c)):
			of[c] = classDigit
		case isLetter(byte(c)):
			of[c] = classLetter
		}
	}
	for class, marks := range map[uint8]string{
		classPair: ":=", classAt: "@", classJoint: "-.", classGap: " /", classSign: "+)",
	} {
		for _, c := range []byte(marks) {
			of[c] = class
		}
	}
	return of
}()

// classifyBytes sets c to the classes of the bytes of b, at most a block.
func (c *classes) classifyBytes(b []byte) {
	const (
		ones   = 0x0101010101010101
		gather = 0x0102040810204080 // times ones' lanes: their bits, in order, in the highest byte
	)
	*c = classes{}
	for i := 0; i < len(b); i += 8 {
		var lanes uint64
		if b := b[i:]; len(b) >= 8 {
			lanes = uint64(classOfByte[b[0]]) | uint64(classOfByte[b[1]])<<8 | uint64(classOfByte[b[2]])<<16 | uint64(classOfByte[b[3]])<<24 |
				uint64(classOfByte[b[4]])<<32 | uint64(classOfByte[b[5]])<<40 | uint64(classOfByte[b[6]])<<48 | uint64(classOfByte[b[7]])<<56
		} else {
			for n, v := range b {
				lanes |= uint64(classOfByte[v]) << (8 * n)
			}
		}
		if lanes == 0 {
			continue
		}
		c.digits |= lanes & ones * gather >> 56 << i
		c.letters |= lanes >> 1 & ones * gather >> 56 << i
		if lanes>>2&(ones*(1<<6-1)) == 0 {
			continue // none of the rest
		}
		c.pairs |= lanes >> 2 & ones * gather >> 56 << i
		c.ats |= lanes >> 3 & ones * gather >> 56 << i
		c.joints |= lanes >> 4 & ones * gather >> 56 << i
		c.gaps |= lanes >> 5 & ones * gather >> 56 << i
		c.signs |= lanes >> 6 & ones * gather >> 56 << i
		c.zeros |= lanes >> 7 & ones * gather >> 56 << i
	}
}
