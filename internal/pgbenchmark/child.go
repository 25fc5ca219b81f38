//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A child is a proxy that this program started.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  *os.File
	// input ends when this program does, however it does.
	input   io.Closer
	stopped bool
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
	return processCPU(c.cmd.Process.Pid)
}

// logged returns what the child wrote to its log.
func (c *child) logged() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// stop ends the child. It acts once.
func (c *child) stop() error {
	if c == nil || c.stopped {
		return nil
	}
	c.stopped = true
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
