package intercept

import (
	"crypto/md5" //nolint:gosec // what PostgreSQL stores of a password under password_encryption = md5
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"

	"github.com/headgate/gateway/credsource"
)

// minKeyLine is the length from which a line of a private key is a secret.
const minKeyLine = 16

// appearances are the texts in which the secrets of a credential could come back.
// The private key of a TLS certificate is not among them: it never leaves the
// gateway.
func appearances(c *credsource.Credential) []needle {
	if c == nil {
		return nil
	}
	var out []needle
	for _, s := range []string{c.Password.Reveal(), c.Token.Reveal()} {
		if len(s) >= MinEchoed {
			out = append(out, forms(s)...)
		}
	}
	if s := c.Password.Reveal(); len(s) >= MinEchoed {
		sum := md5.Sum([]byte(s + c.Username)) //nolint:gosec // as above
		out = append(out, plain(hex.EncodeToString(sum[:])), plain(fmt.Sprintf("%X", sum)), plain(string(sum[:])))
	}
	return append(out, keyForms(c.PrivateKey.Reveal())...)
}

// keyForms are a private key's lines: each is of use, and a line of its own in
// whatever shows the key. The whole is looked for encoded, too.
func keyForms(key string) []needle {
	if len(key) < minKeyLine {
		return nil
	}
	var out []needle
	for line := range strings.SplitSeq(key, "\n") {
		if line = strings.TrimSpace(line); len(line) >= minKeyLine && !strings.HasPrefix(line, "-----") {
			out = append(out, plain(line))
		}
	}
	out = append(out, plain(hex.EncodeToString([]byte(key))), plain(fmt.Sprintf("%X", key)))
	return append(out, base64Forms(key)...)
}

func plain(s string) needle { return needle{text: []byte(s)} }

// forms are a secret's appearances: as it is, quoted and escaped for SQL, JSON,
// URLs and HTML, in UTF-16, hexadecimal and base64.
func forms(s string) []needle {
	out := make([]needle, 0, 32)
	for _, once := range escapes(s) { // and once more: JSON in a row, a literal in JSON
		out = append(out, plain(once))
		if once != s {
			for _, twice := range escapes(once) {
				out = append(out, plain(twice))
			}
		}
	}
	for _, text := range []string{s, wide(s)} {
		out = append(out, plain(hex.EncodeToString([]byte(text))), plain(fmt.Sprintf("%X", text)))
	}
	out = append(out, plain(wide(s)))
	return append(out, base64Forms(s)...)
}

// escapes returns s as it is written where some of its characters can't stand.
func escapes(s string) []string {
	backslashed := strings.ReplaceAll(s, `\`, `\\`)
	quotes := func(s string) string { return strings.ReplaceAll(s, "'", "''") }
	out := make([]string, 0, 27)
	out = append(out,
		s, backslashed, quotes(s), quotes(backslashed),
		strings.ReplaceAll(s, `"`, `""`), strings.ReplaceAll(backslashed, `"`, `""`), strings.ReplaceAll(backslashed, `"`, `\"`), strings.ReplaceAll(backslashed, `'`, `\'`),
		html.EscapeString(s), strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s),
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s),
		octal(s),
	)
	for _, u := range []string{url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(url.QueryEscape(s), "+", "%20")} {
		out = append(out, u, lowerEscapes(u))
	}
	for _, j := range []string{jsonText(s, true), jsonText(s, false), asciiJSON(s)} {
		out = append(out, j, strings.ReplaceAll(j, "/", `\/`), upperUnicode(j))
	}
	return out
}

// octal is bytea's escape format.
func octal(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// lowerEscapes writes the digits of percent escapes in lower case.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(s[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// upperUnicode writes the digits of JSON's escapes in upper case.
func upperUnicode(s string) string {
	b := []byte(s)
	for i := 0; i+5 < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if b[i+1] == 'u' {
			copy(b[i+2:i+6], strings.ToUpper(s[i+2:i+6]))
		}
		i++
	}
	return string(b)
}

func jsonText(s string, forHTML bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(forHTML)
	_ = enc.Encode(s) //nolint:errchkjson // a string can always be encoded
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// asciiJSON is JSON without characters beyond ASCII.
func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range jsonText(s, false) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// wide is s in UTF-16, without the zero at its end or, of the other order of
// bytes, its beginning: what both orders share.
func wide(s string) string {
	b := make([]byte, 0, 2*len(s))
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit&0xff), byte(unit>>8))
	}
	if len(b) < 2 || len(b) != 2*len(s) { // beyond ASCII the orders share nothing
		return ""
	}
	return string(b[:len(b)-1])
}

// base64Forms are what base64 makes of s wherever s begins in what is encoded,
// without the digits at the ends that depend on what stands beside it.
func base64Forms(s string) []needle {
	out := make([]needle, 0, 6)
	for offset := range 3 {
		whole := append(make([]byte, offset), s...)
		from, to := (8*offset+5)/6, 8*len(whole)/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			out = append(out, unwrapped(encoding.EncodeToString(whole)[from:to])...)
		}
	}
	return out
}

// minWrapped is the length from which line breaks are looked over; in a shorter
// text each place of PostgreSQL's break is an appearance of its own.
const minWrapped = 24

func unwrapped(digits string) []needle {
	if len(digits) >= minWrapped {
		return []needle{{text: []byte(digits), wrapped: true}}
	}
	out := []needle{plain(digits)}
	for i := 1; i < len(digits); i++ {
		out = append(out, plain(digits[:i]+"\n"+digits[i:]), plain(digits[:i]+`\n`+digits[i:]))
	}
	return out
}
