package mask

import (
	"bytes"
	"strings"
)

const (
	emailStars = "***"
	// The lengths of RFC 5321 §4.5.3.1.
	emailLocal  = 64
	emailDomain = 255
)

// email is the method "email": a***@example.com for alice@example.com.
func email(dst []byte, v Value) ([]byte, error) {
	if !v.Type.Kind.isText() || v.Type.Array {
		return Redact(dst, v)
	}
	local, domain, ok := cutEmail(bytes.TrimRight(v.Bytes, " "))
	if !ok {
		return Redact(dst, v)
	}
	first := local[:1]
	if len(local) == 1 {
		first = nil // it would be all there is
	}
	if len(first)+len(emailStars)+1+len(domain) > v.Type.room() {
		return Redact(dst, v)
	}
	dst = append(dst, first...)
	dst = append(dst, emailStars+"@"...)
	return append(dst, domain...), nil
}

// cutEmail takes a plain ASCII address apart: a dot-atom, an "@" and a host name
// of two labels or more (RFC 5322 §3.4.1 without quoting, comments and literals).
func cutEmail(b []byte) (local, domain []byte, ok bool) {
	if len(b) > emailLocal+1+emailDomain {
		return nil, nil, false
	}
	local, domain, ok = bytes.Cut(b, []byte{'@'})
	if !ok || len(local) > emailLocal || !isDotted(local, isAtext) {
		return nil, nil, false
	}
	ok = bytes.IndexByte(domain, '.') >= 0 && len(domain) <= emailDomain && isDotted(domain, isHostByte)
	return local, domain, ok
}

// isDotted reports whether b is one or more non-empty atoms joined by dots.
func isDotted(b []byte, in func(byte) bool) bool {
	atom := 0
	for _, c := range b {
		switch {
		case c == '.' && atom == 0:
			return false
		case c == '.':
			atom = 0
		case !in(c):
			return false
		default:
			atom++
		}
	}
	return atom > 0
}

func isAtext(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isHostByte(c byte) bool { return isAlnum(c) || c == '-' }

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
