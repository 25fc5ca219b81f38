package record

import (
	"errors"
	"syscall"
)

const fallocKeepSize = 1 // FALLOC_FL_KEEP_SIZE of fallocate(2)

// Reserve allocates blocks behind the end of the file without changing its size.
func (f diskFile) Reserve(from, to int64) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			failed = syscall.Fallocate(int(fd), fallocKeepSize, from, to-from)
			if !errors.Is(failed, syscall.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if errors.Is(failed, syscall.EOPNOTSUPP) || errors.Is(failed, syscall.ENOSYS) {
		return writeZeros(f.File, from, to)
	}
	return failed
}

// Sync makes the names of new files durable.
func (d diskFolder) Sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
