package record

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Loss is the payload of a TypeLoss entry: what a best-effort log dropped
// between the entry before it and the one behind it.
type Loss struct {
	Entries uint64    `json:"entries"`
	Bytes   uint64    `json:"bytes"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	// Cause is "failed" if the storage returned an error, "stalled" if it did not
	// take entries in time.
	Cause string `json:"cause"`
}

// lossSize bounds the encoding of a Loss.
const lossSize = 256

func (l *Loss) add(at time.Time, size int, cause string) {
	if l.Entries == 0 {
		l.From, l.Cause = at, cause
	}
	l.Entries++
	l.Bytes += uint64(size) //nolint:gosec // a length
	l.To = at
}

func (l *Loss) encode() []byte {
	b, err := json.Marshal(l)
	if err != nil { // a year that JSON can't hold
		return fmt.Appendf(nil, `{"entries":%d,"bytes":%d,"cause":%q}`, l.Entries, l.Bytes, l.Cause)
	}
	return b
}
