package record

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"
)

// MaxPayload is the largest payload of a record, in bytes. Append splits longer
// Output and Input, and refuses longer entries of any other type.
const MaxPayload = 1 << 20

// Sizes of the format, in bytes. docs/record-format.md gives the layout.
const (
	fileHeadSize   = 64
	recordHeadSize = 32
	tagSize        = 16
	crcSize        = 4
	trailerSize    = tagSize + crcSize
	recordOverhead = recordHeadSize + trailerSize
	signatureSize  = 64
	sealFieldsSize = 8
	maxReason      = 256
)

const (
	formatVersion = 1
	flagKeyed     = 1
)

var (
	magic      = [8]byte{0x89, 'H', 'G', 'R', 'E', 'C', '\r', '\n'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// A fileHead is the fixed part in front of the records.
type fileHead struct {
	keyed  bool
	number uint32   // of the log in its run; chooses the ratchet's first key
	file   [16]byte // random, so that no two logs have the same chain
	run    [16]byte // random, one per recorder; zero if not keyed
	keyID  KeyID
}

func (h fileHead) encode() [fileHeadSize]byte {
	var b [fileHeadSize]byte
	copy(b[:], magic[:])
	binary.BigEndian.PutUint16(b[8:], formatVersion)
	if h.keyed {
		binary.BigEndian.PutUint16(b[10:], flagKeyed)
	}
	binary.BigEndian.PutUint32(b[12:], h.number)
	copy(b[16:], h.file[:])
	copy(b[32:], h.run[:])
	copy(b[48:], h.keyID[:])
	binary.BigEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func decodeFileHead(b *[fileHeadSize]byte) (fileHead, *Problem) {
	if [8]byte(b[:8]) != magic {
		return fileHead{}, &Problem{Kind: ProblemNotALog}
	}
	if crc32.Checksum(b[:60], castagnoli) != binary.BigEndian.Uint32(b[60:]) {
		return fileHead{}, &Problem{Kind: ProblemCorrupt, Detail: "file header"}
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != formatVersion {
		return fileHead{}, &Problem{Kind: ProblemVersion, Detail: strconv.Itoa(int(v))}
	}
	flags := binary.BigEndian.Uint16(b[10:])
	if flags&^flagKeyed != 0 {
		return fileHead{}, &Problem{Kind: ProblemMalformed, Detail: "unknown flags"}
	}
	return fileHead{
		keyed:  flags&flagKeyed != 0,
		number: binary.BigEndian.Uint32(b[12:]),
		file:   [16]byte(b[16:]),
		run:    [16]byte(b[32:]),
		keyID:  KeyID(b[48:]),
	}, nil
}

// A recordHead is the fixed part in front of a record's payload.
type recordHead struct {
	length int
	seq    uint64
	typ    Type
	stream uint8
	wall   int64 // ns since the Unix epoch
	mono   int64 // ns since the log was opened, by the monotonic clock
}

func (h recordHead) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(h.length)) //nolint:gosec // at most MaxPayload
	b = binary.BigEndian.AppendUint64(b, h.seq)
	b = append(b, byte(h.typ), h.stream, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(h.wall))    //nolint:gosec // two's complement is the format
	return binary.BigEndian.AppendUint64(b, uint64(h.mono)) //nolint:gosec // two's complement is the format
}

// decodeRecordHead checks everything that can be checked before the payload is
// read. want is the sequence number that must come next.
func decodeRecordHead(b *[recordHeadSize]byte, want uint64) (recordHead, *Problem) {
	n := binary.BigEndian.Uint32(b[:])
	h := recordHead{
		seq:    binary.BigEndian.Uint64(b[4:]),
		typ:    Type(b[12]),
		stream: b[13],
		wall:   int64(binary.BigEndian.Uint64(b[16:])), //nolint:gosec // two's complement is the format
		mono:   int64(binary.BigEndian.Uint64(b[24:])), //nolint:gosec // two's complement is the format
	}
	switch {
	case n > MaxPayload:
		return h, &Problem{Kind: ProblemMalformed, Seq: want, Detail: "length over the limit"}
	case h.seq != want:
		return h, &Problem{Kind: ProblemSequence, Seq: want, Detail: "found " + strconv.FormatUint(h.seq, 10)}
	case h.typ < TypeHeader || h.typ > TypeSeal:
		return h, &Problem{Kind: ProblemMalformed, Seq: want, Detail: "unknown type"}
	case b[14] != 0 || b[15] != 0:
		return h, &Problem{Kind: ProblemMalformed, Seq: want, Detail: "reserved bits"}
	}
	h.length = int(n)
	return h, nil
}
