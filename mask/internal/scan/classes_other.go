//go:build !amd64

package scan

const wide = false

func classifyAVX2(*classes, *byte, int) {}
