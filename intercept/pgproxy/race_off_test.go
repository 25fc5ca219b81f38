//go:build !race

package pgproxy_test

const raceDetector = false
