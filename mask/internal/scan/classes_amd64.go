package scan

// wide says that classifyAVX2 can be used.
var wide = hasAVX2()

// hasAVX2 reports whether the processor and the system have AVX2.
func hasAVX2() bool

// classifyAVX2 sets c to the classes of the n bytes at p, from 1 to a block. It may
// read what is beside them, but no page of memory that they are not in.
//
//go:noescape
func classifyAVX2(c *classes, p *byte, n int)

// classify sets c to the classes of the bytes of b, at most a block.
func (c *classes) classify(b []byte) {
	if wide && len(b) > 0 {
		classifyAVX2(c, &b[0], min(len(b), block))
		return
	}
	c.classifyBytes(b)
}
