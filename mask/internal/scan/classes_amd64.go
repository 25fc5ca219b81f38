package scan

// wide says that classifyAVX2 can be used.
var wide = hasAVX2()

// hasAVX2 reports whether the processor and the system have AVX2 and BMI2.
func hasAVX2() bool

// classifyAVX2 is classifyBytes for the n bytes at p, from 1 to a block, and a zero
// c. Where there is neither digit nor pair nor '@' it may tell letters only. It may
// read what is beside the bytes, but no page of memory that they are not in.
//
//go:noescape
func classifyAVX2(c *classes, p *byte, n int)
