package scan

const (
	maxLocal  = 64 // RFC 5321 §4.5.3.1
	maxDomain = 255
)

// email looks at the '@' at i.
func (f *finder) email(i int) {
	if !f.want.Has(Email) {
		return
	}
	start := i
	named := false
	for start > 0 && i-start < maxLocal && isLocal(f.b[start-1]) {
		start--
		named = named || isAlnum(f.b[start]) || f.b[start] >= 0x80
	}
	for start < i && (f.b[start] == '.' || f.b[start] == '-' || f.b[start] == '\'') {
		start++
	}
	end := f.domain(i + 1)
	if !named || end < 0 || isIcon(f.b[i+1:end]) {
		return
	}
	if string(f.b[start:i]) == "git" && f.at(end) == ':' {
		return // where a repository is
	}
	f.found(start, end, Email)
}

// isLocal takes the characters that addresses have in practice.
func isLocal(c byte) bool { return localBytes[c] }

var localBytes = func() (set [256]bool) {
	for i := range set {
		c := byte(i)
		set[i] = isHost(c) || c == '.' || c == '_' || c == '+' || c == '%' || c == '\''
	}
	return set
}()

// domain returns the end of the host name of two labels or more at i, -1 without
// one.
func (f *finder) domain(i int) int {
	label, dots, end := i, 0, i
	for end < len(f.b) && end-i < maxDomain {
		c := f.b[end]
		if c == '.' {
			if end == label || !isHost(f.at(end+1)) || f.at(end+1) == '-' {
				break
			}
			dots++
			label = end + 1
		} else if !isHost(c) {
			break
		}
		end++
	}
	for end > label && f.b[end-1] == '-' {
		end--
	}
	if dots == 0 || end-label < 2 || !isLetter(f.b[label]) && f.b[label] < 0x80 {
		return -1
	}
	return end
}

func isHost(c byte) bool { return isAlnum(c) || c == '-' || c >= 0x80 }

// isIcon reports whether a domain is the end of a file's name, as in icon@2x.png.
func isIcon(domain []byte) bool {
	return len(domain) > 3 && isDigit(domain[0]) && domain[1] == 'x' && domain[2] == '.'
}
