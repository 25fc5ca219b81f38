package record

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Loss is the payload of a TypeLoss entry: what a best-effort log dropped
// between the entry before it and the one behind it.
type Loss struct {
	Entries uint64 `json:"entries"`
	Bytes   uint64 `json:"bytes"`
	// Unsynced is how many bytes of the log before the entry the storage could not
	// make durable: they may be missing after a crash of the machine.
	Unsynced uint64    `json:"unsynced,omitempty"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	// Cause is "failed" if the storage returned an error, "stalled" if it did not
	// take entries in time.
	Cause string `json:"cause"`
}

// lossSize bounds the encoding of a Loss.
const lossSize = 256

func (l *Loss) add(at time.Time, size int, cause string) {
	l.note(at, cause)
	l.Entries++
	l.Bytes += uint64(size) //nolint:gosec // a length
}

// addUnsynced notes that a sync of n bytes has failed.
func (l *Loss) addUnsynced(at time.Time, n int64) {
	l.note(at, "failed")
	l.Unsynced += uint64(n) //nolint:gosec // a length
}

func (l *Loss) note(at time.Time, cause string) {
	if l.empty() {
		l.From, l.Cause = at, cause
	}
	l.To = at
}

func (l *Loss) empty() bool { return l.Entries == 0 && l.Unsynced == 0 }

func (l *Loss) encode() []byte {
	b, err := json.Marshal(l)
	if err != nil { // a year that JSON can't hold
		unsynced := ""
		if l.Unsynced > 0 {
			unsynced = fmt.Sprintf(`"unsynced":%d,`, l.Unsynced)
		}
		return fmt.Appendf(nil, `{"entries":%d,"bytes":%d,%s"cause":%q}`, l.Entries, l.Bytes, unsynced, l.Cause)
	}
	return b
}
