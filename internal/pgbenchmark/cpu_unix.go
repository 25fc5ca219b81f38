//go:build unix && !linux

package main

import "math"

// processCPU is known on Linux only.
func processCPU(int) float64 { return math.NaN() }
