package record

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/headgate/gateway/policy/secret"
)

// Mode is what a Dir promises when Append returns nil.
type Mode uint8

const (
	// Buffered is the default: the entry is in a bounded queue in memory, and there
	// is space on the disk for it. It is written at the latest after
	// FlushInterval and synced with the next checkpoint. A crash of the process
	// loses at most what was not written.
	Buffered Mode = iota
	// Durable means that the entry is on stable storage. Entries that wait at the same time,
	// of all logs of the Dir, are synced together.
	Durable
	// BestEffort is as Buffered, but Append does not fail when the storage does.
	// Entries are dropped instead, or stay without being synced, and a TypeLoss
	// entry says so as soon as it can. It breaks the rule that what is not recorded does not happen: choose
	// it only where losing the session is worse than losing its record.
	BestEffort
)

// String returns "buffered", "durable" or "best-effort".
func (m Mode) String() string {
	switch m {
	case Buffered:
		return "buffered"
	case Durable:
		return "durable"
	case BestEffort:
		return "best-effort"
	default:
		return fmt.Sprintf("mode(%d)", uint8(m))
	}
}

// DirConfig configures a Dir. Path and SigningKey are required.
type DirConfig struct {
	// Path is the directory. It is made with mode 0700 if it is missing; one that
	// others than the owner can write to is refused.
	Path string
	// Mode is Buffered by default.
	Mode Mode
	// SigningKey signs checkpoints and seals; see GenerateKey and LoadKey. It is
	// required: a key made up by the recorder and stored beside the logs would
	// prove nothing.
	SigningKey ed25519.PrivateKey
	// RootKey, of at least 32 random bytes, keys the tags of every record. Empty
	// means tags without a key. NewDir keeps only what it derives from it, so the
	// caller can Zero it afterwards.
	RootKey secret.Value
	// CheckpointRecords and CheckpointBytes are how many records and bytes may
	// follow a checkpoint before the next; zero means 1024 and 4 MiB.
	CheckpointRecords int
	CheckpointBytes   int64
	// CheckpointInterval is how long a record may wait for a checkpoint; zero
	// means 5 s.
	CheckpointInterval time.Duration
	// FlushBytes is how much of a log is queued before it is written without
	// waiting for FlushInterval; zero means 256 KiB.
	FlushBytes int
	// FlushInterval is how long an entry may wait to be written; zero means 100 ms.
	FlushInterval time.Duration
	// QueueBytes bounds what one log holds in memory; zero means 4 MiB, less than
	// 2 MiB is refused.
	QueueBytes int
	// StallTimeout bounds how long Append and Close wait for the storage, and how
	// long an entry may stay in the queue before Append fails; zero means 5 s. It
	// must be longer than FlushInterval.
	StallTimeout time.Duration
	// ReserveBytes is how much space on the disk a log takes in advance, beyond
	// that for its seal; zero means 64 KiB, less than 4 KiB is refused. A log that
	// grows fast takes more, up to QueueBytes. The seal gives it back.
	ReserveBytes int64
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const minQueue = 2 << 20

// complete returns a copy with defaults filled in, or why it can't be used.
func (c DirConfig) complete() (DirConfig, error) {
	setDefault(&c.CheckpointRecords, 1024)
	setDefault(&c.CheckpointBytes, 4<<20)
	setDefault(&c.CheckpointInterval, 5*time.Second)
	setDefault(&c.FlushBytes, 256<<10)
	setDefault(&c.FlushInterval, 100*time.Millisecond)
	setDefault(&c.QueueBytes, 4<<20)
	setDefault(&c.StallTimeout, 5*time.Second)
	setDefault(&c.ReserveBytes, 64<<10)
	if c.Now == nil {
		c.Now = time.Now
	}
	c.SigningKey = append(ed25519.PrivateKey(nil), c.SigningKey...)
	return c, c.check()
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (c DirConfig) check() error {
	switch {
	case c.Path == "":
		return errors.New("record: no path")
	case c.Mode > BestEffort:
		return fmt.Errorf("record: unknown %v", c.Mode)
	case len(c.SigningKey) != ed25519.PrivateKeySize:
		return errors.New("record: no signing key")
	case !c.RootKey.IsEmpty() && len(c.RootKey.Reveal()) < minRootKey:
		return fmt.Errorf("record: root key shorter than %d bytes", minRootKey)
	case c.CheckpointRecords < 0 || c.CheckpointBytes < 0 || c.CheckpointInterval < 0:
		return errors.New("record: negative checkpoint limit")
	case c.FlushBytes < 0 || c.FlushInterval < 0:
		return errors.New("record: negative flush limit")
	case c.QueueBytes < minQueue || c.FlushBytes > c.QueueBytes/2:
		return fmt.Errorf("record: queue of %d bytes is too small", c.QueueBytes)
	case c.StallTimeout <= c.FlushInterval:
		return errors.New("record: stall timeout is not longer than the flush interval")
	case c.ReserveBytes < 4<<10:
		return errors.New("record: reserve is too small")
	}
	return nil
}
