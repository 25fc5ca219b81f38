package scan

// colon looks at the ':' at i.
func (f *finder) colon(i int) {
	if f.want.Has(URL) && f.at(i+1) == '/' && f.at(i+2) == '/' {
		f.userinfo(i)
		return
	}
	if f.want.Has(IP) {
		f.ipv6(i)
	}
	if !f.document || !f.member(i) {
		f.pair(i)
	}
}

// member looks at the ':' at i as what stands between a member's name and its value,
// and reports whether it does. Where there is more space around it than servers and
// most programs write, it looks no further: what is said of a value by its name would
// not be found by a glance.
func (f *finder) member(i int) bool {
	end := i
	for end > 0 && isSpace(f.b[end-1]) {
		end--
	}
	if end == 0 || f.b[end-1] != '"' {
		return false
	}
	start := end - 1
	for start > 0 && end-start <= maxName && f.b[start-1] != '"' {
		start--
	}
	f.hit = f.hit || i-end > 1 || isSpace(f.at(i+1)) && isSpace(f.at(i+2)) ||
		f.want.Has(Secret) && classOf(f.b[start:end-1]) != notSecret
	return true
}

const maxUserinfo = 256

// userinfo looks at the name and password of a URL, of which the "://" is at i.
func (f *finder) userinfo(i int) {
	if !isAlnum(f.at(i - 1)) {
		return
	}
	start, colon, end := i+3, -1, -1
	for pos := start; pos < len(f.b) && pos-start < maxUserinfo; pos++ {
		c := f.b[pos]
		switch {
		case c == '@':
			end = pos
		case c == ':' && colon < 0:
			colon = pos
		case isSpace(c) || c == '/' || c == '?' || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\':
			pos = len(f.b)
		}
	}
	if colon >= 0 && end > colon+1 && !isPlaceholder(f.b[colon+1:end]) {
		f.found(start, end, URL)
	}
}

// maxName is the longest name of a pair that is looked at.
const maxName = 32

// pair looks at the ':' or '=' at i as what stands between a name and a secret.
func (f *finder) pair(i int) {
	if !f.want.Has(Secret) {
		return
	}
	end := i
	for end > 0 && i-end < 2 && (f.b[end-1] == ' ' || f.b[end-1] == '"' || f.b[end-1] == '\'') {
		end--
	}
	if end == 0 || !isLetter(f.b[end-1]) {
		return
	}
	start := end
	for start > 0 && end-start < maxName && (isToken(f.b[start-1]) || f.b[start-1] == '.') {
		start--
	}
	class := classOf(f.b[start:end])
	if class == notSecret {
		return
	}
	from, to := f.valueAt(i + 1)
	if class == authorization {
		from, to = f.afterScheme(from, to)
	}
	if isSecret(f.b[from:to], class, f.b[i] == '=' && from == i+1) {
		f.found(from, to, Secret)
	}
}

// A class is what a name announces.
type class uint8

const (
	notSecret class = iota
	password
	token
	authorization
	signature
)

// classOf says what a name announces.
func classOf(name []byte) class {
	if len(name) < 3 {
		return notSecret
	}
	switch lower(name[len(name)-1]) {
	case 'd':
		if endsWith(name, "password") || endsWith(name, "passwd") || endsWith(name, "pwd") {
			return password
		}
	case 't':
		if endsWith(name, "passwort") {
			return password
		}
		return tokenIf(endsWith(name, "secret"))
	case 'n':
		if endsWith(name, "authorization") {
			return authorization
		}
		return tokenIf(endsWith(name, "token"))
	case 'l', 's':
		return tokenIf(endsWith(name, "credential") || endsWith(name, "credentials"))
	case 'h':
		if isOneOf(name, "auth|x-auth") {
			return authorization
		}
	case 'e':
		if endsWith(name, "passphrase") {
			return password
		}
		if isOneOf(name, "signature|sharedaccesssignature") {
			return signature
		}
	case 'g':
		if isOneOf(name, "sig") {
			return signature
		}
	case 'y':
		if endsWith(name, "key") {
			return keyClass(name[:len(name)-3])
		}
	}
	return notSecret
}

func tokenIf(yes bool) class {
	if yes {
		return token
	}
	return notSecret
}

// keyClass says what a key of that sort is.
func keyClass(sort []byte) class {
	if n := len(sort); n > 0 && (sort[n-1] == '_' || sort[n-1] == '-' || sort[n-1] == '.') {
		sort = sort[:n-1]
	}
	for _, s := range [...]string{"api", "access", "secret", "private", "account", "auth", "encryption", "signing", "master", "sharedaccess", "shared_access", "client"} {
		if endsWith(sort, s) {
			return token
		}
	}
	return notSecret
}

const maxValue = 256

// valueAt returns where the value of a pair is, without its quotes.
func (f *finder) valueAt(i int) (start, end int) {
	for n := 0; n < 2 && (f.at(i) == ' ' || f.at(i) == '>'); n++ { // "=>" too
		i++
	}
	if f.at(i) == '\\' {
		i++
	}
	var quote byte
	if c := f.at(i); c == '"' || c == '\'' || c == '`' {
		quote = c
		i++
	}
	end = f.valueEnd(i, quote)
	if quote == 0 {
		end = max(i, trimmed(f.b, end))
	}
	return i, end
}

// valueEnd returns where the value at i ends that has such a quote, 0 without one.
func (f *finder) valueEnd(i int, quote byte) int {
	sort := 0
	switch quote {
	case '"':
		sort = 1
	case '\'':
		sort = 2
	case '`':
		sort = 3
	}
	known := &f.values[sort]
	end := known.skip(i)
	for end < len(f.b) && end-i < maxValue && !valueEnds[sort][f.b[end]] {
		end++
	}
	known.add(i, end)
	return end
}

// valueEnds are the bytes that end a value: without a quote, and in each sort.
var valueEnds = [4][256]bool{
	setOf("\x00\t\n\v\f\r \"<\\,;')}&"),
	setOf("\t\n\v\f\r \"<\\"),
	setOf("\t\n\v\f\r \"<\\'"),
	setOf("\t\n\v\f\r \"<\\`"),
}

// afterScheme skips the scheme of an Authorization header.
func (f *finder) afterScheme(start, end int) (int, int) {
	if isOneOf(f.b[start:end], "bearer|basic|token|apikey") {
		return f.valueAt(end)
	}
	return start, end
}

// isSecret reports whether a value is what its name announces. Adjacent says that
// there is nothing between name and value but a '='.
func isSecret(v []byte, c class, adjacent bool) bool {
	v = v[:min(len(v), 64)]
	if isPlaceholder(v) {
		return false
	}
	if c == password && adjacent {
		return len(v) >= 6
	}
	var sorts [4]int
	for _, b := range v {
		sorts[sortOf(b)]++
	}
	letters := sorts[1] + sorts[2]
	switch c {
	case password:
		return len(v) >= 6 && (sorts[0] > 0 && letters+sorts[3] > 0 || sorts[3] > 1 || sorts[2] > 1 && sorts[1] > 0)
	case token, authorization:
		return len(v) >= 8 && sorts[0] > 0 && letters > 0 && sorts[3]*3 < len(v)*2
	case signature:
		return len(v) >= 32 && sorts[0] > 0 && letters > 0
	default:
		return false
	}
}

// maxPlaceholder is the length of the longest word that is a placeholder.
const maxPlaceholder = len("undefined")

// isPlaceholder reports whether a value only stands where a secret would.
func isPlaceholder(v []byte) bool {
	if len(v) < 2 || v[0] == '$' || v[0] == '<' || v[0] == '%' || v[0] == '{' || v[0] == '[' || v[0] == '(' {
		return true
	}
	same := 1
	for same < len(v) && v[same] == v[0] {
		same++
	}
	if same == len(v) || len(v) > maxPlaceholder {
		return same == len(v)
	}
	var word [maxPlaceholder]byte
	for i, c := range v {
		word[i] = lower(c)
	}
	switch string(word[:len(v)]) {
	case "null", "none", "nil", "true", "false", "required", "optional", "undefined", "redacted", "hidden", "string", "changed", "missing", "invalid", "expired", "password":
		return true
	default:
		return false
	}
}

// Announced reports whether a value is a secret by the name that it has, as in an
// object of JSON.
func Announced(name, value []byte) bool {
	c := classOf(name)
	return c != notSecret && isSecret(value, c, c == password)
}
