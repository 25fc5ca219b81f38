package pgproxy

import (
	"bytes"
	"testing"
	"unsafe"
)

// A long message that comes slowly takes the room of what has come of it, and is
// moved a few times only.
func TestRoomGrowsWithWhatComes(t *testing.T) {
	const whole, part = 16 << 20, 1 << 10
	message := bytes.Repeat([]byte("0123456789abcdef"), whole/16)
	for _, needed := range []int{whole, 0} { // the length may not be told
		var e end
		moved := 0
		for have := 9 << 10; have <= whole; have += part {
			before := unsafe.SliceData(e.carry)
			rest := message[:have]
			if len(e.carry) == have-part && cap(e.carry) >= have { // as read does
				rest = append(e.carry, message[have-part:have]...)
			}
			e.keep(rest, needed)
			if unsafe.SliceData(e.carry) != before {
				moved++
			}
			if most := roomFactor*have + part; cap(e.carry) > most {
				t.Fatalf("%d bytes take %d", have, cap(e.carry))
			}
		}
		if !bytes.Equal(e.carry, message) {
			t.Error("it is another message now")
		}
		if needed > 0 && moved > 10 {
			t.Errorf("it was moved %d times", moved)
		}
	}
}
