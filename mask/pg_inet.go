package mask

import (
	"bytes"
	"net/netip"
	"strconv"
)

// The binary form of inet and cidr: family, bits of the network mask, whether it
// is a cidr, length of the address, the address (network_recv).
const (
	inetHeader = 4
	inetV4     = 2
	inetV6     = 3
)

// canonicalInet returns family, bits and address.
func canonicalInet(dst, b []byte, bin bool) ([]byte, error) {
	if !bin {
		return parseInet(dst, b)
	}
	if len(b) < inetHeader {
		return nil, ErrMalformed
	}
	family, bits, size, addr := b[0], b[1], int(b[3]), b[inetHeader:]
	v4 := family == inetV4 && size == 4 && bits <= 32
	v6 := family == inetV6 && size == 16 && bits <= 128
	if len(addr) != size || !v4 && !v6 {
		return nil, ErrMalformed
	}
	return append(append(dst, family, bits), addr...), nil
}

func parseInet(dst, b []byte) ([]byte, error) {
	if len(b) > 64 {
		return nil, ErrMalformed
	}
	host, mask, hasMask := bytes.Cut(b, []byte{'/'})
	family, size, parse := byte(inetV4), 4, appendIPv4
	if bytes.IndexByte(host, ':') >= 0 {
		family, size, parse = inetV6, 16, appendIPv6
	}
	bits := int64(8 * size)
	if hasMask {
		n, ok := number(mask)
		if !ok || n > bits {
			return nil, ErrMalformed
		}
		bits = n
	}
	dst, ok := parse(append(dst, family, byte(bits)), host)
	if !ok {
		return nil, ErrMalformed
	}
	return dst, nil
}

// appendInet makes a host address of a private network (RFC 1918, RFC 4193) of
// the same family as the canonical address in place of it.
func appendInet(dst []byte, v Value, canon []byte, seed *seed) []byte {
	addr := netip.AddrFrom4([4]byte{10, seed[0], seed[1], seed[2]})
	if canon[0] == inetV6 {
		a := [16]byte(seed[:16])
		a[0] = 0xfd
		addr = netip.AddrFrom16(a)
	}
	return appendAddr(dst, v.Type.Kind, v.Format, addr)
}

func appendAddr(dst []byte, k Kind, f Format, addr netip.Addr) []byte {
	if f == Text {
		dst = addr.AppendTo(dst)
		if k == KindCIDR {
			dst = strconv.AppendInt(append(dst, '/'), int64(addr.BitLen()), 10)
		}
		return dst
	}
	var cidr byte
	if k == KindCIDR {
		cidr = 1
	}
	if addr.Is4() {
		a := addr.As4()
		return append(append(dst, inetV4, 32, cidr, 4), a[:]...)
	}
	a := addr.As16()
	return append(append(dst, inetV6, 128, cidr, 16), a[:]...)
}
