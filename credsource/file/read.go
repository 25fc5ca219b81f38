package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/headgate/gateway/credsource"
)

// errChanging says that a file was changed while it was read.
var errChanging = errors.New("file is being changed")

// attempts bounds how often a set of files that is being rotated is read again.
const attempts = 3

// read returns the content of every path, nil for the path "". Files that belong
// together are of one rotation: if one of them is replaced while the others are
// read, all are read again.
func (s *Source) read(ctx context.Context) ([][]byte, error) {
	var err error
	for range attempts {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("file: %w", err)
		}
		var contents [][]byte
		contents, err = s.readOnce()
		if !errors.Is(err, errChanging) {
			return contents, err
		}
	}
	return nil, err
}

func (s *Source) readOnce() ([][]byte, error) {
	contents := make([][]byte, len(s.paths))
	infos := make([]fs.FileInfo, len(s.paths))
	for i, path := range s.paths {
		if path == "" {
			continue
		}
		var err error
		if contents[i], infos[i], err = s.readFile(path); err != nil {
			return nil, wrap(path, err)
		}
	}
	for i, path := range s.paths {
		if path == "" {
			continue
		}
		if now, err := os.Stat(path); err != nil || !unchanged(infos[i], now) {
			return nil, wrap(path, errChanging)
		}
	}
	return contents, nil
}

// readFile opens path once; what is checked is what is read.
func (s *Source) readFile(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := s.accept(info); err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, s.cfg.MaxBytes+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(content)) > s.cfg.MaxBytes {
		return nil, nil, fmt.Errorf("file is larger than %d bytes", s.cfg.MaxBytes)
	}
	return content, info, nil
}

func (s *Source) accept(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if info.Size() > s.cfg.MaxBytes {
		return fmt.Errorf("file is larger than %d bytes", s.cfg.MaxBytes)
	}
	return checkAccess(info, s.cfg.AllowGroupRead)
}

func unchanged(before, after fs.FileInfo) bool {
	return os.SameFile(before, after) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime())
}

func wrap(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("file: %s: %w: %w", path, credsource.ErrNotFound, fs.ErrNotExist)
	}
	return fmt.Errorf("file: %s: %w: %w", path, credsource.ErrUnavailable, err)
}
