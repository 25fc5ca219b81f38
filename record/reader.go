package record

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"
)

// A Record is an entry as it stands in a log.
type Record struct {
	// Seq counts from 0, the header.
	Seq uint64
	// Entry is the content. Its Payload is valid until the next call of Next.
	Entry
	// Since is the time since the log was opened, by the monotonic clock.
	Since time.Duration
}

// A Reader reads a log as a stream and holds one record of at most MaxPayload
// bytes at a time. It checks form, order and checksums, not who wrote the log:
// for that, use Verify. What it returns may have been written by an attacker.
// It is for one goroutine.
type Reader struct {
	src    *bufio.Reader
	head   fileHead
	rawHd  [fileHeadSize]byte
	next   uint64
	buf    []byte // head, payload and trailer of the current record
	torn   int64
	sealed bool
	err    error
}

// NewReader reads the file header.
func NewReader(src io.Reader) (*Reader, error) {
	r, p := newReader(src)
	if p != nil {
		return nil, p
	}
	return r, nil
}

func newReader(src io.Reader) (*Reader, *Problem) {
	r := &Reader{src: bufio.NewReaderSize(src, 64<<10)}
	switch n, err := io.ReadFull(r.src, r.rawHd[:]); {
	case isEnd(err):
		if n < len(magic) || [8]byte(r.rawHd[:8]) != magic {
			return nil, &Problem{Kind: ProblemNotALog}
		}
		return nil, &Problem{Kind: ProblemUnsigned, Detail: "file header cut off"}
	case err != nil:
		return nil, &Problem{Kind: ProblemRead, Err: err}
	}
	var p *Problem
	r.head, p = decodeFileHead(&r.rawHd)
	return r, p
}

// Next returns the next record. The error is io.EOF behind the seal, ErrUnsealed
// where a log without a seal ends (also in the middle of a record), and otherwise
// a *Problem. Every later call returns the same error.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	h, err := r.read()
	if err != nil {
		r.err = err
		return Record{}, err
	}
	r.sealed = h.typ == TypeSeal
	r.next++
	return Record{
		Seq: h.seq,
		Entry: Entry{
			Type: h.typ, Stream: h.stream, Time: time.Unix(0, h.wall).UTC(),
			Payload: r.signable()[recordHeadSize:],
		},
		Since: time.Duration(h.mono),
	}, nil
}

// read fills buf with the next record.
func (r *Reader) read() (recordHead, error) {
	if r.sealed {
		return recordHead{}, r.behindSeal()
	}
	r.grow(recordHeadSize)
	if n, err := io.ReadFull(r.src, r.buf); err != nil {
		return recordHead{}, r.cutOff(n, err)
	}
	if isZero(r.buf) {
		return recordHead{}, r.padding()
	}
	h, p := decodeRecordHead((*[recordHeadSize]byte)(r.buf), r.next)
	if p != nil {
		return h, r.unlessTorn(p)
	}
	r.grow(recordOverhead + h.length)
	if n, err := io.ReadFull(r.src, r.buf[recordHeadSize:]); err != nil {
		return h, r.cutOff(recordHeadSize+n, err)
	}
	body, sum := r.buf[:len(r.buf)-crcSize], r.buf[len(r.buf)-crcSize:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return h, r.unlessTorn(&Problem{Kind: ProblemCorrupt, Seq: r.next})
	}
	return h, nil
}

// signable is the part of the current record that the chain covers.
func (r *Reader) signable() []byte { return r.buf[:len(r.buf)-trailerSize] }

// tag is the current record's chain tag.
func (r *Reader) tag() []byte {
	end := len(r.buf) - crcSize
	return r.buf[end-tagSize : end]
}

// grow makes buf n bytes long and keeps its content.
func (r *Reader) grow(n int) {
	if n > cap(r.buf) {
		r.buf = append(make([]byte, 0, n), r.buf...)
	}
	r.buf = r.buf[:n]
}

func (r *Reader) behindSeal() error {
	switch _, err := r.src.ReadByte(); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return &Problem{Kind: ProblemRead, Seq: r.next, Err: err}
	default:
		return &Problem{Kind: ProblemTrailing, Seq: r.next}
	}
}

func (r *Reader) cutOff(n int, err error) error {
	r.torn = int64(n)
	if isEnd(err) {
		return ErrUnsealed
	}
	return &Problem{Kind: ProblemRead, Seq: r.next, Err: err}
}

// unlessTorn returns p, or ErrUnsealed if what was read fades into zeros that
// reach to the end: a write into reserved space that a crash cut short. Whoever
// could fake that could as well have cut the log.
func (r *Reader) unlessTorn(p *Problem) error {
	if r.buf[len(r.buf)-1] != 0 {
		return p
	}
	if err := r.padding(); errors.Is(err, ErrUnsealed) {
		return err
	}
	return p
}

// padding follows zeros to the end: space that was reserved and never used. A
// record is never all zeros, as no type is 0.
func (r *Reader) padding() error {
	n := len(r.buf)
	for {
		if _, err := r.src.Peek(1); err != nil {
			return r.cutOff(n, err)
		}
		b, _ := r.src.Peek(r.src.Buffered())
		if !isZero(b) {
			return &Problem{Kind: ProblemMalformed, Seq: r.next, Detail: "zeros in front of data"}
		}
		n += len(b)
		if _, err := r.src.Discard(len(b)); err != nil {
			return r.cutOff(n, err)
		}
	}
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
