//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of the times in /proc/PID/stat, USER_HZ: a hundredth of a
// second on every platform that Go runs on.
const clockTick = 0.01

// A child is a proxy that this program started.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  *os.File
	// input ends when this program does, however it does.
	input io.Closer
}

// startChild starts a program whose standard error goes to the file log.
func startChild(cmd *exec.Cmd, log string) (*child, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	cmd.Stderr = f
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c := &child{cmd: cmd, done: make(chan struct{}), log: f, input: input}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(c.done)
	}()
	return c, nil
}

// cpu returns the seconds of CPU time that the child has used, NaN without a
// child or where the system doesn't say.
func (c *child) cpu() float64 {
	if c == nil {
		return math.NaN()
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(c.cmd.Process.Pid) + "/stat")
	if err != nil {
		return math.NaN()
	}
	return cpuSeconds(stat)
}

// cpuSeconds reads user and system time in a /proc/PID/stat (proc(5), fields 14
// and 15). The second field, the program's name, may hold anything, so reading
// starts behind its closing parenthesis.
func cpuSeconds(stat []byte) float64 {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return math.NaN()
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		return math.NaN()
	}
	return (user + system) * clockTick
}

// logged returns what the child wrote to its log.
func (c *child) logged() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// stop ends the child.
func (c *child) stop() error {
	if c == nil {
		return nil
	}
	defer c.log.Close() //nolint:errcheck // only the child wrote to it
	closed := c.input.Close()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return closed
	case <-time.After(10 * time.Second):
		return errors.Join(fmt.Errorf("%s doesn't stop", c.cmd.Path), c.cmd.Process.Kill())
	}
}
