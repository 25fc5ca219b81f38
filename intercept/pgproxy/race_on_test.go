//go:build race

package pgproxy_test

// raceDetector says that the race detector is on. What append(b, make([]byte, n)...)
// grows by is then allocated twice, so that bounds on memory are wider.
const raceDetector = true
