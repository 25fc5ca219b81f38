//go:build unix

package pgserver

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// janitorScript waits until its standard input ends, which is when the parent
// closes it or dies. Then it ends the servers under $1 whose postmaster.pid is
// still there and removes the directory.
const janitorScript = `
trap '' INT TERM HUP
cat >/dev/null
for f in "$1"/*/data/postmaster.pid; do
	[ -f "$f" ] || continue
	pid=$(head -n 1 "$f")
	kill -QUIT "$pid" 2>/dev/null
	tries=0
	while kill -0 "$pid" 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || kill -KILL "$pid"
		sleep 0.05
	done
done
rm -rf "$1"
`

// A janitor is a child process that cleans a directory up when this process is
// gone, even if it was killed.
type janitor struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

func hireJanitor(dir string) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", janitorScript, "headgate-janitor", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Dir = "/"
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pgserver: janitor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("pgserver: janitor: %w", err)
	}
	return &janitor{cmd: cmd, pipe: pipe}, nil
}

// dismiss lets the janitor do its work now and waits for it.
func (j *janitor) dismiss() error {
	closed := j.pipe.Close()
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("pgserver: janitor: %w", err)
	}
	return closed
}
