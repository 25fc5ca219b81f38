//go:build unix && !linux

package pgserver

import "syscall"

// attributes makes a child that runs as user and outside the terminal's process
// group. There is no parent death signal here: the janitor ends the child.
func attributes(user *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: user, Setpgid: true}
}
