//go:build !unix

package file

import "io/fs"

const openFlags = 0

// checkAccess accepts every file: its mode says nothing here.
func checkAccess(fs.FileInfo, bool) error { return nil }
