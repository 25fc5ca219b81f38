package copystream

import (
	"encoding/binary"
	"fmt"
	"math"
)

// signatureSize is the file header up to its flags and the extension's length
// (manual, "COPY", "Binary Format").
const signatureSize = len(signature) + 8

const signature = "PGCOPY\n\xff\r\n\x00"

// binaryState is where a Stream of the binary format is.
type binaryState struct {
	// part is what comes next, of which left bytes are missing.
	part part
	left int
	// fixed holds what has come of a number or of the header.
	fixed []byte
	ended bool
}

type part uint8

const (
	partHeader part = iota
	partCount
	partLength
	partValue
)

// writeBinary works through data of the binary format.
func (s *Stream) writeBinary(dst, data []byte) ([]byte, error) {
	b := &s.binary
	for len(data) > 0 || b.left == 0 && !b.ended {
		if b.ended {
			return nil, fmt.Errorf("%w: bytes behind the end", ErrMalformed)
		}
		n := min(b.left, len(data))
		switch {
		case b.part == partValue && !s.rewrites():
			dst = append(dst, data[:n]...)
		case b.part == partValue:
			s.hold(data[:n])
		default:
			b.fixed = append(b.fixed, data[:n]...)
		}
		data = data[n:]
		if b.left -= n; b.left > 0 {
			break
		}
		var err error
		if dst, err = s.endPart(dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// endPart works on a part that is complete and says what follows it.
func (s *Stream) endPart(dst []byte) ([]byte, error) {
	b := &s.binary
	fixed := b.fixed
	b.fixed = b.fixed[:0]
	switch b.part {
	case partHeader:
		return s.binaryHeader(dst, fixed)
	case partCount:
		return s.binaryCount(dst, fixed)
	case partLength:
		return s.binaryLength(dst, fixed)
	default:
		if s.rewrites() {
			dst = s.binaryValue(dst)
		}
		return dst, s.endBinaryField()
	}
}

func (s *Stream) binaryHeader(dst, fixed []byte) ([]byte, error) {
	flags := binary.BigEndian.Uint32(fixed[len(signature):])
	extension := binary.BigEndian.Uint32(fixed[len(signature)+4:])
	if string(fixed[:len(signature)]) != signature || flags != 0 || extension != 0 {
		return nil, fmt.Errorf("%w: header", ErrMalformed)
	}
	s.binary.part, s.binary.left = partCount, 2 // the server writes no extension, of which nothing is known
	return append(dst, fixed...), nil
}

func (s *Stream) binaryCount(dst, fixed []byte) ([]byte, error) {
	switch n := int16(binary.BigEndian.Uint16(fixed)); {
	case n == -1:
		s.binary.ended = true
	case int(n) != len(s.Columns):
		return nil, fmt.Errorf("%w: a row has not %d fields", ErrMalformed, len(s.Columns))
	default:
		s.inRow = true
		s.binary.part, s.binary.left = partLength, 4
	}
	return append(dst, fixed...), nil
}

func (s *Stream) binaryLength(dst, fixed []byte) ([]byte, error) {
	n := int32(binary.BigEndian.Uint32(fixed))
	switch {
	case n < -1:
		return nil, fmt.Errorf("%w: length of a field", ErrMalformed)
	case n == -1 && s.rewrites():
		return s.binaryMade(dst, nil), s.endBinaryField()
	case n == -1:
		return append(dst, fixed...), s.endBinaryField()
	}
	s.binary.part, s.binary.left = partValue, int(n)
	if s.rewrites() {
		return dst, nil
	}
	return append(dst, fixed...), nil
}

// binaryValue appends what stands in place of the value that is held, with its
// length.
func (s *Stream) binaryValue(dst []byte) []byte {
	defer s.release()
	if s.isConstant() {
		if c := s.constantOf(appendBinary); !c.null {
			return append(dst, c.text...)
		}
		return binaryNull(dst)
	}
	held := s.held
	if held == nil {
		held = []byte{}
	}
	return s.binaryMade(dst, held)
}

// binaryMade appends what is made of a value, nil for a NULL, with its length.
func (s *Stream) binaryMade(dst, held []byte) []byte {
	out, null := s.value(s.made[:0], held)
	if s.made = out; null || len(out) > math.MaxInt32 {
		return binaryNull(dst)
	}
	return appendBinary(dst, out)
}

func binaryNull(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

func appendBinary(dst, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
}

func (s *Stream) endBinaryField() error {
	last := s.column == len(s.Columns)-1
	s.binary.part, s.binary.left = partLength, 4
	if last {
		s.binary.part, s.binary.left = partCount, 2
	}
	return s.endField(last)
}
