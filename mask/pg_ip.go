package mask

import (
	"bytes"
	"slices"
)

// appendIPv4 reads four numbers with dots.
func appendIPv4(dst, b []byte) ([]byte, bool) {
	for i := range 4 {
		part := b
		if i < 3 {
			var ok bool
			if part, b, ok = bytes.Cut(b, []byte{'.'}); !ok {
				return nil, false
			}
		}
		n, ok := number(part)
		if !ok || n > 255 {
			return nil, false
		}
		dst = append(dst, byte(n)) //nolint:gosec // checked above
	}
	return dst, true
}

// appendIPv6 reads groups of hexadecimal digits with colons, one run of zeros
// shortened to "::", perhaps with an IPv4 address for the last two (RFC 4291
// §2.2). netip would allocate for it.
func appendIPv6(dst, b []byte) ([]byte, bool) {
	start := len(dst)
	head, tail, short := bytes.Cut(b, []byte("::"))
	dst, ok := appendGroups(dst, head)
	if !ok || !short {
		return dst, ok && len(dst)-start == 16
	}
	if bytes.IndexByte(head, '.') >= 0 { // IPv4 stands last only
		return nil, false
	}
	gap := len(dst)
	if dst, ok = appendGroups(dst, tail); !ok || len(dst)-start > 14 {
		return nil, false
	}
	var zeros [16]byte
	return slices.Insert(dst, gap, zeros[:16-(len(dst)-start)]...), true
}

// appendGroups reads groups joined by colons, or none.
func appendGroups(dst, b []byte) ([]byte, bool) {
	for more := len(b) > 0; more; {
		var group []byte
		group, b, more = bytes.Cut(b, []byte{':'})
		if !more && bytes.IndexByte(group, '.') >= 0 {
			return appendIPv4(dst, group)
		}
		var ok bool
		if dst, ok = appendGroup(dst, group); !ok {
			return nil, false
		}
	}
	return dst, true
}

func appendGroup(dst, group []byte) ([]byte, bool) {
	if len(group) == 0 || len(group) > 4 {
		return nil, false
	}
	var n uint16
	for _, c := range group {
		d, ok := hexDigit(c)
		if !ok {
			return nil, false
		}
		n = n<<4 | uint16(d)
	}
	return append(dst, byte(n>>8), byte(n)), true
}

func hexDigit(c byte) (d byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
