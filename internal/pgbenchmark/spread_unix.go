//go:build unix && !linux

package main

// spread does nothing: only Linux has the flag.
func spread(string) error { return nil }
