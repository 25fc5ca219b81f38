package record

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/headgate/gateway/policy/secret"
)

// Dir is a Recorder that writes each log to a file of its own in one local
// directory. Make it with NewDir and Close it. It is safe for concurrent use.
//
// Two goroutines serve all logs: one writes, one syncs. Append itself does no
// I/O; in Buffered mode it wakes nobody up unless FlushBytes have gathered.
type Dir struct {
	cfg     DirConfig
	folder  folder
	keyID   KeyID
	run     [16]byte
	keys    *runKeys // nil without a root key
	buffers buffers
	waiters sync.Pool
	flusher flusher
	syncer  syncer

	mu     sync.Mutex
	logs   map[*dirLog]struct{}
	closed bool
}

var _ Recorder = (*Dir)(nil)

// NewDir opens or makes the directory and starts the Dir's goroutines.
func NewDir(cfg DirConfig) (*Dir, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	root, err := openRoot(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return newDir(cfg, diskFolder{root}), nil
}

func newDir(cfg DirConfig, f folder) *Dir {
	d := &Dir{cfg: cfg, folder: f, logs: map[*dirLog]struct{}{}}
	pub, _ := cfg.SigningKey.Public().(ed25519.PublicKey)
	d.keyID = KeyIDOf(pub)
	if !cfg.RootKey.IsEmpty() {
		_, _ = rand.Read(d.run[:]) // never fails
		d.keys = newRunKeys([]byte(cfg.RootKey.Reveal()), d.run)
		d.cfg.RootKey = secret.Value{}
	}
	d.flusher.start(d)
	d.syncer.start(d)
	return d
}

func openRoot(path string) (*os.Root, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("%s: others can write to it: mode %04o: %w", path, info.Mode().Perm(), fs.ErrPermission)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// Open creates the log of a session with its header, signed. It waits for the
// storage; ctx is looked at before that. ErrSession, ErrExists and ErrClosed say
// why there is no log; any other error comes from the storage, in BestEffort mode
// too. A zero h.Started becomes the time of the call.
func (d *Dir) Open(ctx context.Context, h Header) (Log, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := CheckSession(h.Session); err != nil {
		return nil, err
	}
	l, first, err := d.newLog(h)
	if err != nil {
		return nil, err
	}
	if err := d.create(l, first); err != nil {
		return nil, fmt.Errorf("record: open %s: %w", h.Session, err)
	}
	return l, nil
}

// newLog returns a log without a file and the bytes that its file starts with.
func (d *Dir) newLog(h Header) (*dirLog, []byte, error) {
	now := d.cfg.Now()
	if h.Started.IsZero() {
		h.Started = now
	}
	payload, err := json.Marshal(h)
	if err != nil {
		return nil, nil, fmt.Errorf("record: header: %w", err)
	}
	if len(payload) > MaxPayload {
		return nil, nil, fmt.Errorf("%w: header", ErrTooLarge)
	}
	head, key, err := d.fileHead()
	if err != nil {
		return nil, nil, err
	}
	raw := head.encode()
	l := &dirLog{dir: d, name: FileName(h.Session), opened: now}
	l.enc = encoder{chain: newChain(&raw, key), key: d.cfg.SigningKey}
	at := stamp{wall: now.UnixNano()}
	first := l.enc.checkpoint(l.enc.record(raw[:], TypeHeader, 0, at, payload), at)
	l.end, l.written = int64(len(first)), int64(len(first))
	return l, first, nil
}

func (d *Dir) fileHead() (fileHead, *[32]byte, error) {
	head := fileHead{run: d.run, keyID: d.keyID}
	_, _ = rand.Read(head.file[:]) // never fails
	if d.keys == nil {
		return head, nil, nil
	}
	key, number, err := d.keys.take(head.file)
	head.keyed, head.number = true, number
	return head, &key, err
}

func (d *Dir) create(l *dirLog, first []byte) error {
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return ErrClosed
	}
	f, err := d.folder.Create(l.name)
	if err != nil {
		return err
	}
	l.file = f
	if err := d.begin(l, first); err != nil {
		return errors.Join(err, f.Close(), d.folder.Remove(l.name))
	}
	return nil
}

// begin writes what a new log starts with and takes the log in.
func (d *Dir) begin(l *dirLog, first []byte) error {
	reserve := l.end + d.cfg.ReserveBytes + tailSpace
	if err := l.file.Reserve(0, reserve); err != nil {
		return err
	}
	l.reserved, l.headroom = reserve, d.cfg.ReserveBytes
	if _, err := l.file.WriteAt(first, 0); err != nil {
		return err
	}
	if d.cfg.Mode == Durable {
		if err := l.sync(); err != nil {
			return err
		}
		l.synced = l.end
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	d.logs[l] = struct{}{}
	return nil
}

// Close seals every open log with the reason "recorder closed", and ends the
// Dir's goroutines. It waits for the storage for StallTimeout and then returns
// ErrStalled; a goroutine that hangs in the kernel ends when the kernel lets it.
// Later calls return nil.
func (d *Dir) Close() error {
	open, first := d.shut()
	if !first {
		return nil
	}
	for _, l := range open {
		l.seal("recorder closed")
	}
	deadline := time.Now().Add(d.cfg.StallTimeout)
	var errs []error
	for _, l := range open {
		errs = append(errs, l.awaitDone(time.Until(deadline)))
	}
	errs = append(errs, d.join(time.Until(deadline)))
	return errors.Join(errs...)
}

func (d *Dir) shut() (open []*dirLog, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first = !d.closed
	d.closed = true
	for l := range d.logs {
		open = append(open, l)
	}
	return open, first
}

// join ends both goroutines and closes the folder.
func (d *Dir) join(patience time.Duration) error {
	close(d.flusher.stop)
	close(d.syncer.stop)
	limit := time.NewTimer(max(patience, 0))
	defer limit.Stop()
	for _, ended := range []chan struct{}{d.flusher.ended, d.syncer.ended} {
		select {
		case <-ended:
		case <-limit.C:
			return ErrStalled
		}
	}
	return d.folder.Close()
}

func (d *Dir) forget(l *dirLog) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.logs, l)
}
