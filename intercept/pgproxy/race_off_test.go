//go:build !race

package pgproxy_test

const raceDetector = false

// giantSize is the length of a giant cell, which is longer than a message may be, and
// manyRows the rows of a large table.
const (
	giantSize = 60 << 20
	manyRows  = 1_000_000
)
