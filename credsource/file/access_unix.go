//go:build unix

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openFlags keeps the opening of a named pipe from blocking; the file is then
// refused for not being a regular one.
const openFlags = syscall.O_NONBLOCK

// checkAccess refuses a file that others than its owner could have written or
// may read, and an owner who is neither this process's user nor root.
func checkAccess(info fs.FileInfo, groupRead bool) error {
	closed := fs.FileMode(0o077)
	if groupRead {
		closed = 0o037
	}
	if mode := info.Mode().Perm(); mode&closed != 0 {
		return fmt.Errorf("mode %#o is too open, %#o must be clear", mode, closed)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("owner is unknown")
	}
	if stat.Uid != 0 && int64(stat.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("owned by user %d, who is neither this process's nor root", stat.Uid)
	}
	return nil
}
