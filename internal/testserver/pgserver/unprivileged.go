//go:build unix

package pgserver

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged returns the user that servers run as when this process is root,
// which PostgreSQL refuses; otherwise nil: servers run as this process does.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("pgserver: running as root, and there is no user postgres or nobody to start servers as")
}

// give makes path the unprivileged user's.
func (w *Workspace) give(path string) error {
	if w.user == nil {
		return nil
	}
	return os.Chown(path, int(w.user.Uid), int(w.user.Gid))
}
