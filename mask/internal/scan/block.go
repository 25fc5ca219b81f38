package scan

import "bytes"

const (
	// maxKey bounds a private key: RSA of 16384 bits in PEM has 12.7 KB.
	maxKey    = 16 << 10
	minKey    = 64
	maxTitle  = 64
	pemBegin  = "-----BEGIN "
	pemEnd    = "-----END "
	pemMarks  = "-----"
	puttyKey  = "PuTTY-User-Key-File-"
	puttyMAC  = "Private-MAC: "
	privateID = "PRIVATE KEY"
)

// blocks looks for private keys in PEM, as OpenSSH and PGP have it too, and for
// PuTTY's.
func (f *finder) blocks() {
	if len(f.b) < minKey {
		return
	}
	f.pem()
	if !f.stop() {
		f.putty()
	}
}

func (f *finder) pem() {
	footer := 0 // the first pemEnd behind what has been looked at
	for pos := 0; ; {
		at := bytes.Index(f.b[pos:], []byte(pemBegin))
		if at < 0 {
			return
		}
		start := pos + at
		pos = start + len(pemBegin)
		title := f.b[pos:min(len(f.b), pos+maxTitle)]
		if name, _, ok := bytes.Cut(title, []byte(pemMarks)); !ok || !bytes.Contains(name, []byte(privateID)) {
			continue
		}
		if footer >= 0 && footer < pos {
			footer = indexFrom(f.b, pos, pemEnd)
		}
		end := f.keyEnd(start, pos, footer)
		if hasRun(f.b[start:end]) {
			f.found(start, end, PrivateKey)
		}
		if f.stop() {
			return
		}
		pos = end
	}
}

// indexFrom returns where s is at or behind pos, -1 if it isn't.
func indexFrom(b []byte, pos int, s string) int {
	at := bytes.Index(b[pos:], []byte(s))
	if at < 0 {
		return -1
	}
	return pos + at
}

// keyEnd returns the end of the key that begins at start: that of its last line,
// or where what could be its content ends.
func (f *finder) keyEnd(start, pos, footer int) int {
	if footer >= 0 && footer-start <= maxKey-maxTitle-2*len(pemEnd) {
		end := footer + len(pemEnd)
		if n := bytes.Index(f.b[end:min(len(f.b), end+maxTitle)], []byte(pemMarks)); n >= 0 {
			return end + n + len(pemMarks)
		}
		return end
	}
	title := bytes.Index(f.b[pos:min(len(f.b), pos+maxTitle)], []byte(pemMarks))
	end := pos + title + len(pemMarks)
	for end < len(f.b) && end-start < maxKey && (isBase64(f.b[end]) && f.b[end] != '-' || f.b[end] == '=' || f.b[end] == '\\' || isSpace(f.b[end])) {
		end++
	}
	return end
}

func (f *finder) putty() {
	mac := 0
	for pos := 0; ; {
		start := indexFrom(f.b, pos, puttyKey)
		if start < 0 {
			return
		}
		pos = start + len(puttyKey)
		if mac >= 0 && mac < pos {
			mac = indexFrom(f.b, pos, puttyMAC)
		}
		if mac < 0 || mac-start > maxKey-maxTitle-len(puttyMAC) {
			continue
		}
		end := mac + len(puttyMAC)
		for end < len(f.b) && end-mac < maxTitle+len(puttyMAC) && isHex(f.b[end]) {
			end++
		}
		if hasRun(f.b[start:end]) {
			f.found(start, end, PrivateKey)
		}
		if f.stop() {
			return
		}
		pos = end
	}
}

// hasRun reports whether there is a word of minRun in b, as in every key: a title
// alone is none.
func hasRun(b []byte) bool {
	n := 0
	for _, c := range b {
		n++
		if !isAlnum(c) {
			n = 0
		}
		if n == minRun {
			return true
		}
	}
	return false
}
