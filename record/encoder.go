package record

import (
	"crypto/ed25519"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"time"
	"unicode/utf8"
)

// A stamp is when something happened, by both clocks.
type stamp struct {
	wall int64 // ns since the Unix epoch
	mono int64 // ns since the log was opened
}

// An encoder appends records to a buffer and moves the chain along. It does not
// allocate if the buffer has room.
type encoder struct {
	chain *chain
	key   ed25519.PrivateKey
	seq   uint64 // of the record that comes next
	// records and bytes written since the last checkpoint.
	records uint64
	bytes   int64
}

func (w *encoder) record(buf []byte, t Type, stream uint8, at stamp, payload []byte) []byte {
	start := len(buf)
	buf = w.head(buf, t, stream, at, len(payload))
	buf = append(buf, payload...)
	return w.finish(buf, start)
}

// checkpoint appends a signature of everything so far.
func (w *encoder) checkpoint(buf []byte, at stamp) []byte {
	start := len(buf)
	buf = w.head(buf, TypeCheckpoint, 0, at, signatureSize)
	return w.sign(buf, start)
}

// seal appends the last record: the number of records before it, why the log was
// closed, and a signature.
func (w *encoder) seal(buf []byte, at stamp, reason string) []byte {
	start := len(buf)
	reason = cutReason(reason)
	buf = w.head(buf, TypeSeal, 0, at, sealFieldsSize+len(reason)+signatureSize)
	buf = binary.BigEndian.AppendUint64(buf, w.seq)
	buf = append(buf, reason...)
	return w.sign(buf, start)
}

func (w *encoder) head(buf []byte, t Type, stream uint8, at stamp, length int) []byte {
	h := recordHead{length: length, seq: w.seq, typ: t, stream: stream, wall: at.wall, mono: at.mono}
	return h.appendTo(buf)
}

func (w *encoder) sign(buf []byte, start int) []byte {
	buf = append(buf, ed25519.Sign(w.key, w.chain.message(buf[start:]))...)
	buf = w.finish(buf, start)
	w.records, w.bytes = 0, 0
	return buf
}

func (w *encoder) finish(buf []byte, start int) []byte {
	w.chain.add(buf[start:])
	buf = append(buf, w.chain.tag()...)
	buf = binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli))
	w.seq++
	w.records++
	w.bytes += int64(len(buf) - start)
	return buf
}

// cutReason bounds a reason without cutting a character.
func cutReason(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	s = s[:maxReason]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

func stampOf(e *Entry, now, opened time.Time) stamp {
	at := stamp{wall: now.UnixNano(), mono: int64(now.Sub(opened))}
	if !e.Time.IsZero() {
		at.wall = e.Time.UnixNano()
	}
	return at
}
