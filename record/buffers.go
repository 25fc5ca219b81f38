package record

import "sync"

// chunkSize is the size up to which a buffer grows; what a log has queued beyond
// it is in further buffers. Two records of 128 KiB, which is what is read at a time
// of something long, fit together with what encloses them: were there room for one
// only, half of each buffer would be empty.
const chunkSize = 264 << 10

// bufferClasses are the sizes of buffers and how many of each are kept for reuse:
// an idle log holds none, a slow one the smallest, the largest takes any record.
var bufferClasses = [...]struct{ size, keep int }{
	{4 << 10, 64}, {16 << 10, 32}, {64 << 10, 16}, {chunkSize, 16}, {MaxPayload + chunkSize, 1},
}

// buffers is a bounded free list.
type buffers struct {
	mu   sync.Mutex
	free [len(bufferClasses)][][]byte
}

// grow returns b with room for n more bytes.
func (p *buffers) grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	bigger := append(p.get(len(b)+n), b...)
	p.put(b)
	return bigger
}

func (p *buffers) get(n int) []byte {
	for i, c := range bufferClasses {
		if n <= c.size {
			return p.take(i)
		}
	}
	return make([]byte, 0, n)
}

func (p *buffers) take(class int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free[class]) - 1
	if last < 0 {
		return make([]byte, 0, bufferClasses[class].size)
	}
	b := p.free[class][last]
	p.free[class] = p.free[class][:last]
	return b[:0]
}

func (p *buffers) put(b []byte) {
	for i, c := range bufferClasses {
		if cap(b) != c.size {
			continue
		}
		p.mu.Lock()
		if len(p.free[i]) < c.keep {
			p.free[i] = append(p.free[i], b)
		}
		p.mu.Unlock()
	}
}
