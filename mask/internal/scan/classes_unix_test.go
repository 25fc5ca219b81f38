//go:build unix

package scan

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
)

// A text may end where memory does: nothing of what follows may be read.
func TestClassesAtTheEndOfMemory(t *testing.T) {
	page := os.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(memory)
	if err := syscall.Mprotect(memory[:page], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(memory[2*page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	readable := memory[page : 2*page : 2*page]
	g := rand.New(rand.NewPCG(1, 2))
	for i := range readable {
		readable[i] = byte(g.IntN(256))
	}
	for n := range 3 * block {
		checkClasses(t, readable[page-n:])
		checkClasses(t, readable[:n:n])
	}
}
