package pgproxy

import (
	"fmt"

	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
)

// copyParts masks one message of a COPY TO STDOUT as it comes, as mask.Parts does
// with a row: a message is a row, so clients get it as one.
type copyParts struct {
	stream *copystream.Stream
	// size is the message's length, got how much of it has come, made what has been
	// made of that. told says that the length of the rest has been counted on.
	size, got, made int
	told            bool
}

// Size returns the length of the masked message. It is not known before the last
// masked column has been written.
func (c *copyParts) Size() (n int, known bool) {
	c.told = c.told || c.got == c.size || c.stream.Settled()
	return c.made + c.size - c.got, c.told
}

// Write takes the next part of the message and appends what can be written of the
// masked one to dst.
func (c *copyParts) Write(dst, part []byte) ([]byte, error) {
	c.stream.Expect(c.size - c.got)
	before := len(dst)
	out, err := c.stream.Write(dst, part)
	c.stream.Expect(0)
	if err != nil {
		return dst, err
	}
	n := len(out) - before
	if c.told && n != len(part) {
		return dst, fmt.Errorf("%w: more than a row in a message of COPY", errMalformed)
	}
	c.got += len(part)
	c.made += n
	return out, nil
}

// copiedParts returns what masks a message of n bytes of a COPY, and how many rows it
// holds.
func (e *entry) copiedParts(n int) (*copyParts, int64) {
	stream, rows := e.run.copy().stream, int64(1)
	if stream.Naming() {
		rows = 0
	}
	return &copyParts{stream: stream, size: n}, rows
}
