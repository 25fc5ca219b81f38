//go:build !linux

package record

import (
	"errors"
	"runtime"
)

// Reserve writes zeros.
func (f diskFile) Reserve(from, to int64) error { return writeZeros(f.File, from, to) }

// Sync makes the names of new files durable, where directories can be synced.
func (d diskFolder) Sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
