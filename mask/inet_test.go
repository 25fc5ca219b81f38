package mask_test

import (
	"net/netip"
	"testing"

	"github.com/headgate/gateway/mask"
)

// TestInetReadsAsNetip compares with the standard library's reader, by whether an
// address is taken and by the pseudonym of its binary form.
func TestInetReadsAsNetip(t *testing.T) {
	for _, s := range []string{
		"0.0.0.0", "255.255.255.255", "192.0.2.1", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1..2.3", "", ".",
		"::", "::1", "1::", "2001:db8::7:1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
		"::ffff:192.0.2.1", "64:ff9b::192.0.2.33", "1:2:3:4:5:6:192.0.2.1", "ABCD::ef",
		"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1::2::3", "12345::", ":1", "1:", ":::", "g::", "::1.2.3", "1:2:3:4:5:6:7::8",
		"1.2.3.4::", "fe80::1%eth0",
	} {
		v := mask.Value{Bytes: []byte(s), Type: mask.Type{Kind: mask.KindInet}}
		addr, err := netip.ParseAddr(s)
		valid := err == nil && addr.Zone() == ""
		if got := mask.Check(v) == nil; got != valid {
			t.Errorf("%q is taken: %v, want %v", s, got, valid)
		}
		if valid {
			samePseudonym(t, v, mask.Value{Bytes: binaryInet(addr), Type: v.Type, Format: mask.Binary})
		}
	}
}

func binaryInet(addr netip.Addr) []byte {
	header := []byte{2, 32, 0, 4}
	if !addr.Is4() {
		header = []byte{3, 128, 0, 16}
	}
	return append(header, addr.AsSlice()...)
}

// samePseudonym masks a value given in text and in binary, and compares what the
// binary forms of the results say.
func samePseudonym(t *testing.T, text, bin mask.Value) {
	t.Helper()
	h := method(t, mask.MethodHash)
	a, errA := h.Mask(nil, text)
	b, errB := h.Mask(nil, bin)
	if errA != nil || errB != nil {
		t.Fatalf("%q: %v, %v", text.Bytes, errA, errB)
	}
	addr, err := netip.ParseAddr(string(a))
	if err != nil || string(binaryInet(addr)) != string(b) {
		t.Errorf("%q: from text %s, from binary %x", text.Bytes, a, b)
	}
}
