package record

import (
	"errors"
	"io/fs"
	"os"
)

const logFileMode = 0o600

// A file is what a log needs of an *os.File. One goroutine at a time calls it,
// except that Sync and WriteAt may overlap.
type file interface {
	WriteAt(p []byte, off int64) (int, error)
	// Reserve makes sure that writes between from and to will find space.
	Reserve(from, to int64) error
	Sync() error
	Truncate(size int64) error
	Close() error
}

// A folder creates files and makes their names durable.
type folder interface {
	// Create makes a new file; ErrExists if there is one of that name.
	Create(name string) (file, error)
	Remove(name string) error
	Sync() error
	Close() error
}

type diskFile struct{ *os.File }

// diskFolder is a directory of the local file system. Names can't lead out of it.
type diskFolder struct{ root *os.Root }

func (d diskFolder) Create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, logFileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil, ErrExists
	}
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (d diskFolder) Remove(name string) error { return d.root.Remove(name) }

func (d diskFolder) Close() error { return d.root.Close() }

// writeZeros reserves space where the file system can't: the zeros are overwritten
// later, and readers know them as space never used.
func writeZeros(f *os.File, from, to int64) error {
	var zeros [32 << 10]byte
	for from < to {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}
