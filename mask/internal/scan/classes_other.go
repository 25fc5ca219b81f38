//go:build !amd64

package scan

// classify sets c to the classes of the bytes of b, at most a block.
func (c *classes) classify(b []byte) { c.classifyBytes(b) }
