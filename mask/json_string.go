package mask

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unhex4 reads four hexadecimal digits, -1 if they are none.
func unhex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendJSONUnescaped appends what a JSON string means. b is what stands between
// the quotes of a string that a jsonScanner has found. Half a surrogate pair
// becomes U+FFFD; \u0000 becomes a NUL byte, which no text of the server has.
func appendJSONUnescaped(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '\\' {
			dst = append(dst, c)
			continue
		}
		i++
		switch b[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, n := unescapedRune(b[i-1:])
			dst = utf8.AppendRune(dst, r)
			i += n - 2
		default: // a quote, a slash or a backslash
			dst = append(dst, b[i])
		}
	}
	return dst
}

// unescapedRune reads the \u escape that b begins with, or two of them that are a
// surrogate pair, and returns how long they are.
func unescapedRune(b []byte) (r rune, n int) {
	r = unhex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if pair := utf16.DecodeRune(r, unhex4(b[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// appendJSONString appends text, which must be UTF-8, as a JSON string with its
// quotes.
func appendJSONString(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	run := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[run:i]...)
		run = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			continue
		}
		dst = append(dst, '\\', c)
	}
	return append(append(dst, text[run:]...), '"')
}
