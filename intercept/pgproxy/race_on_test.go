//go:build race

package pgproxy_test

// raceDetector says that the race detector is on. What append(b, make([]byte, n)...)
// grows by is then allocated twice, so that bounds on memory are wider.
const raceDetector = true

// What is long takes long under the race detector: make test tries the full sizes
// without it.
const (
	giantSize = 20 << 20
	manyRows  = 100_000
)
