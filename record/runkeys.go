package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"sync"
)

const (
	minRootKey = 32
	labelRun   = "headgate record 1 run\x00"
	labelLow   = "headgate record 1 low\x00"
	labelLog   = "headgate record 1 log\x00"
)

// errRunEnded says that one recorder has opened 2^32 keyed logs.
var errRunEnded = errors.New("record: out of log numbers, make a new recorder")

// runKeys hands out the first ratchet key of each log of a run, which is the life
// of one recorder. It is a ratchet itself: the root key is not kept, and a key is
// gone once its log is open, so that a thief of the process's memory can't redo
// the tags of logs that were closed before.
//
// The number of a log has a high and a low half, each a ratchet of its own, so
// that a verifier needs at most 2^17 steps to any of 2^32 keys.
type runKeys struct {
	mu    sync.Mutex
	high  [sha256.Size]byte // of the next high half
	low   [sha256.Size]byte // of the number that comes next
	next  uint32
	ended bool
}

func newRunKeys(root []byte, run [16]byte) *runKeys {
	k := &runKeys{high: derive(root, labelRun, run[:])}
	k.enterHigh()
	return k
}

// enterHigh begins a new high half.
func (k *runKeys) enterHigh() {
	k.low = derive(k.high[:], labelLow, nil)
	k.high = ratchet(&k.high)
}

// take returns the first key of the next log and the log's number.
func (k *runKeys) take(file [16]byte) (key [sha256.Size]byte, number uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return key, 0, errRunEnded
	}
	number, key = k.next, derive(k.low[:], labelLog, file[:])
	k.next++
	k.ended = k.next == 0
	if k.next&0xffff == 0 {
		k.enterHigh()
	} else {
		k.low = ratchet(&k.low)
	}
	return key, number, nil
}

// logKey computes, from the root key, the key that take gave out.
func logKey(root []byte, head fileHead) [sha256.Size]byte {
	high := derive(root, labelRun, head.run[:])
	for range head.number >> 16 {
		high = ratchet(&high)
	}
	low := derive(high[:], labelLow, nil)
	for range head.number & 0xffff {
		low = ratchet(&low)
	}
	return derive(low[:], labelLog, head.file[:])
}

func derive(key []byte, label string, data []byte) [sha256.Size]byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(label))
	m.Write(data)
	return [sha256.Size]byte(m.Sum(nil))
}
