//go:build !cgo || windows

package pgparse

import (
	"errors"
	"testing"
)

func TestTrapRefusesAllThatFollows(t *testing.T) {
	var g guarded
	if _, err := g.call(func() ([]byte, error) { panic("unreachable") }); !errors.Is(err, ErrParser) {
		t.Fatalf("a trap gave %v", err)
	}
	called := false
	_, err := g.call(func() ([]byte, error) { called = true; return nil, nil })
	if called || !errors.Is(err, ErrParser) {
		t.Errorf("after a trap: called %v, %v", called, err)
	}
}
