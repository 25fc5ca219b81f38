package main

import (
	"math"
	"syscall"
	"unsafe"
)

// processCPU returns the seconds of CPU time that a process and its threads, also
// those that have ended, have used: clock_gettime(2) of the process's own clock,
// which counts nanoseconds.
func processCPU(pid int) float64 {
	const perProcess = 2                   // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	clock := uintptr(^pid)<<3 | perProcess // MAKE_PROCESS_CPUCLOCK of the kernel
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return math.NaN()
	}
	return float64(t.Nano()) / 1e9
}
