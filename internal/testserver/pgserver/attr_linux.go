package pgserver

import "syscall"

// attributes makes a child that runs as user, outside the terminal's process
// group, and that gets SIGQUIT when its parent dies by any cause.
func attributes(user *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: user, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}
