package scan

import (
	"bytes"
	"encoding/base64"
)

const (
	// maxRun bounds the words that are looked at. Longer ones are data.
	maxRun = maxPart
	// maxToken bounds keys, which may have marks within.
	maxToken = 256
	// maxPart bounds the parts of a token of JSON (RFC 7519).
	maxPart   = 3072
	jwtParts  = 5
	maxHeader = 1024
)

// run looks at a word of minRun letters and digits or more.
func (f *finder) run(start, end int) {
	if end-start > maxRun {
		return
	}
	if f.want.Has(JWT) && f.jwt(start, end) {
		return
	}
	if f.want&(Of(APIKey)|Of(PrivateKey)) != 0 && f.apiKey(start, end) {
		return
	}
	if f.want.Has(Secret) {
		f.entropy(start, end)
	}
}

// jwt looks for a signed or encrypted token whose header begins in the word.
func (f *finder) jwt(start, end int) bool {
	const tries = 4
	for range tries {
		at := bytes.Index(f.b[start:end], []byte("eyJ"))
		if at < 0 {
			return false
		}
		start += at
		if last := f.jwtEnd(start); last > 0 {
			f.found(start, trimmed(f.b, last), JWT)
			return true
		}
		start++
	}
	return false
}

// jwtEnd returns the end of the token at start, 0 if there is none.
func (f *finder) jwtEnd(start int) int {
	end := f.partEnd(0, start)
	if f.at(end) != '.' || !f.isHeader(start, end) {
		return 0
	}
	for part := 1; part < jwtParts && f.at(end) == '.'; part++ {
		begin := end + 1
		end = f.partEnd(part, begin)
		if end-begin > maxPart || part == 1 && end == begin {
			return 0
		}
	}
	return end
}

// partEnd returns where the part of a token ends that begins at i, or a place more
// than maxPart behind it.
func (f *finder) partEnd(part, i int) int {
	known := &f.parts[part]
	end := known.skip(i)
	for end < len(f.b) && end-i <= maxPart && isToken(f.b[end]) {
		end++
	}
	known.add(i, end)
	return end
}

// A header is what is known of the first parts of tokens that end at the same place
// and begin a multiple of four characters from one another: decoded they are the same,
// but for how much of it there is.
type header struct {
	start, end int
	// algorithm is how many of its bytes stand before the last name of an algorithm,
	// -1 if it is no object or has none.
	algorithm int
}

// isHeader reports whether what is from start to end, which begins as an object does,
// is a JSON object with an algorithm, in base64url.
func (f *finder) isHeader(start, end int) bool {
	if base64.RawURLEncoding.DecodedLen(end-start) > maxHeader {
		return false
	}
	h := &f.headers[(end-start)%4]
	if h.end != end || start < h.start {
		*h = header{start, end, algorithmIn(f.b[start:end])}
	}
	return h.algorithm >= (start-h.start)/4*3
}

// algorithmIn returns where the name of an algorithm is last in a JSON object in
// base64url that has maxHeader bytes at most, -1 if it is no such object.
func algorithmIn(b []byte) int {
	var buf [maxHeader]byte
	n, err := base64.RawURLEncoding.Decode(buf[:], b)
	if err != nil || n == 0 || buf[n-1] != '}' {
		return -1
	}
	return bytes.LastIndex(buf[:n], []byte(`"alg"`))
}

func isToken(c byte) bool { return isAlnum(c) || c == '-' || c == '_' }

// A prefix is how a key of some issuer begins.
type prefix struct {
	text string
	min  int // how many characters follow at least
	kind Kind
}

// prefixes are those that end with a mark. They are listed by who issues them:
// GitHub, GitLab, Slack, Stripe, npm, PyPI, SendGrid, OpenAI and Anthropic (sk-),
// Hugging Face, Google, DigitalOcean, Shopify, Linear, Docker, Vault, Square,
// Brevo, New Relic, Mailgun, Grafana, Sentry, Databricks, age.
var prefixes = [...]prefix{
	{"ghp_", 30, APIKey}, {"gho_", 30, APIKey}, {"ghu_", 30, APIKey}, {"ghs_", 30, APIKey}, {"ghr_", 30, APIKey},
	{"github_pat_", 40, APIKey}, {"glpat-", 20, APIKey}, {"gldt-", 20, APIKey}, {"glrt-", 20, APIKey}, {"glcbt-", 20, APIKey},
	{"glptt-", 20, APIKey}, {"xoxa-", 16, APIKey}, {"xoxb-", 16, APIKey}, {"xoxe-", 16, APIKey}, {"xoxp-", 16, APIKey},
	{"xoxr-", 16, APIKey}, {"xoxs-", 16, APIKey}, {"xapp-", 20, APIKey}, {"sk_live_", 16, APIKey}, {"sk_test_", 16, APIKey},
	{"rk_live_", 16, APIKey}, {"rk_test_", 16, APIKey}, {"whsec_", 24, APIKey}, {"npm_", 30, APIKey}, {"pypi-", 50, APIKey},
	{"SG.", 60, APIKey}, {"sk-", 20, APIKey}, {"hf_", 30, APIKey}, {"GOCSPX-", 24, APIKey}, {"dop_v1_", 40, APIKey},
	{"doo_v1_", 40, APIKey}, {"shpat_", 32, APIKey}, {"shpss_", 32, APIKey}, {"shpca_", 32, APIKey}, {"lin_api_", 32, APIKey},
	{"dckr_pat_", 24, APIKey}, {"hvs.", 24, APIKey}, {"hvb.", 24, APIKey}, {"sq0atp-", 22, APIKey}, {"sq0csp-", 40, APIKey},
	{"xkeysib-", 60, APIKey}, {"NRAK-", 24, APIKey}, {"key-", 32, APIKey}, {"glsa_", 32, APIKey}, {"sntrys_", 40, APIKey},
	{"ya29.", 30, APIKey}, {"AGE-SECRET-KEY-", 58, PrivateKey},
}

// tails are the bytes before the mark that ends a prefix.
var tails = func() (set [256]bool) {
	for _, p := range prefixes {
		set[p.text[len(p.text)-2]] = true
	}
	return set
}()

// maxPrefix is how far before its first long word the beginning of a key is.
const maxPrefix = 48

// apiKey looks for a key of which the word is the first long one.
func (f *finder) apiKey(start, end int) bool {
	if f.bareKey(start, end) {
		return true
	}
	first, word := start, 0
	for first > 0 && start-first < maxPrefix && word < minRun && isKeyByte(f.b[first-1]) {
		first--
		word++
		if !isAlnum(f.b[first]) {
			word = 0
		}
	}
	for mark := start - 1; mark > first; mark-- {
		if isAlnum(f.b[mark]) {
			continue
		}
		if p := prefixOf(f.b[first:mark+1], isLower(f.at(first-1))); p.text != "" && f.want.Has(p.kind) {
			if last := f.keyEndOf(start); last-mark-1 >= p.min {
				f.found(mark+1-len(p.text), trimmed(f.b, last), p.kind)
				return true
			}
		}
	}
	return f.googleKey(first, start, end)
}

// keyEndOf returns the end of the key of which a word begins at start.
func (f *finder) keyEndOf(start int) int {
	last := f.key.skip(start)
	for last < len(f.b) && last-start < maxToken && isKeyByte(f.b[last]) {
		last++
	}
	f.key.add(start, last)
	return last
}

// prefixOf returns the prefix that b ends with, the zero prefix if there is none.
func prefixOf(b []byte, inWord bool) prefix {
	if len(b) < 3 || !tails[b[len(b)-2]] {
		return prefix{}
	}
	for _, p := range prefixes {
		n := len(b) - len(p.text)
		if n < 0 || b[len(b)-2] != p.text[len(p.text)-2] || string(b[n:]) != p.text {
			continue
		}
		if n > 0 {
			inWord = isLower(b[n-1])
		}
		if !inWord || len(p.text) > 4 || !isLower(p.text[0]) { // task- is not sk-
			return p
		}
	}
	return prefix{}
}

// googleKey looks for a key of Google's, which may have marks early.
func (f *finder) googleKey(first, start, end int) bool {
	const size = 39
	at := bytes.Index(f.b[first:min(end, start+4)], []byte("AIza"))
	if at < 0 || !f.want.Has(APIKey) {
		return false
	}
	from := first + at
	for pos := from; pos < from+size; pos++ {
		if !isToken(f.at(pos)) {
			return false
		}
	}
	f.found(from, from+size, APIKey)
	return true
}

// trimmed leaves out the marks that end a sentence.
func trimmed(b []byte, end int) int {
	for end > 0 && (b[end-1] == '.' || b[end-1] == '-') {
		end--
	}
	return end
}

func isKeyByte(c byte) bool { return isToken(c) || c == '.' }

// bareKey looks at keys that begin with letters only: those of AWS and Twilio.
func (f *finder) bareKey(start, end int) bool {
	word := f.b[start:end]
	aws := len(word) == 20 && word[0] == 'A' && isAWS(word)
	twilio := !aws && len(word) == 34 && word[0] == 'S' && word[1] == 'K' && allHex(word[2:])
	if !f.want.Has(APIKey) || !aws && !twilio {
		return false
	}
	f.found(start, end, APIKey)
	return true
}

func isAWS(word []byte) bool {
	switch string(word[:4]) {
	case "AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA", "ABIA", "ACCA":
	default:
		return false
	}
	for _, c := range word {
		if !isUpper(c) && !isDigit(c) {
			return false
		}
	}
	return true
}

func allHex(b []byte) bool {
	for _, c := range b {
		if !isHex(c) {
			return false
		}
	}
	return true
}
