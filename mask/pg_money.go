package mask

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// canonicalMoney returns the amount in the currency's smallest unit. The text
// form depends on lc_monetary, but always shows every digit of the fraction, so
// that its digits in a row are the amount.
func canonicalMoney(dst, b []byte, bin bool) ([]byte, error) {
	if bin {
		if len(b) != 8 {
			return nil, ErrMalformed
		}
		return append(dst, b...), nil
	}
	if len(b) > 64 {
		return nil, ErrMalformed
	}
	var digits [20]byte
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			continue
		}
		if n == len(digits) {
			return nil, ErrMalformed
		}
		digits[n] = c
		n++
	}
	amount, err := strconv.ParseUint(string(digits[:n]), 10, 64)
	if err != nil {
		return nil, ErrMalformed
	}
	if bytes.ContainsAny(b, "-(") {
		amount = -amount
	}
	return binary.BigEndian.AppendUint64(dst, amount), nil
}

// appendMoney writes n units of currency. In text it has the original's currency
// sign before it, where that is a common one: drivers that parse the text expect
// what the server's locale writes, and the server reads both.
func appendMoney(dst []byte, v Value, n uint64) []byte {
	if v.Format == Text {
		dst = append(dst, currency(v.Bytes)...)
	}
	return appendNumber(dst, KindMoney, v.Format, n)
}

func currency(b []byte) string {
	b = bytes.TrimLeft(b, "-(")
	for _, sign := range [...]string{"$", "€", "£", "¥", "￥", "₹", "₩"} {
		if bytes.HasPrefix(b, []byte(sign)) {
			return sign
		}
	}
	return ""
}
