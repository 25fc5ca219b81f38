package intercept

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy/secret"
)

const echoed = `p"4'ss w0rd\/+&%é-it-is`

func echoOf(passwords ...string) *Echo {
	var creds []*credsource.Credential
	for _, p := range passwords {
		creds = append(creds, &credsource.Credential{Username: "app", Password: secret.New(p)})
	}
	return newEcho(creds)
}

// wrap breaks a text into lines.
func wrap(s, lineBreak string, width int) string {
	var lines []string
	for len(s) > width {
		lines, s = append(lines, s[:width]), s[width:]
	}
	return strings.Join(append(lines, s), lineBreak)
}

func TestEchoFindsEveryAppearance(t *testing.T) {
	quoted, err := json.Marshal(echoed)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"clear": echoed, "hex": hex.EncodeToString([]byte(echoed)), "HEX": fmt.Sprintf("%X", echoed),
		"query": url.QueryEscape(echoed), "path": url.PathEscape(echoed), "query, lower": strings.ToLower(url.QueryEscape(echoed)),
		"json": string(quoted[1 : len(quoted)-1]), "json, no HTML": `p\"4'ss w0rd\\/+&%é-it-is`, "json, slash": `p\"4'ss w0rd\\\/+&%é-it-is`,
		"json, ASCII": `p\"4'ss w0rd\\/+&%\u00e9-it-is`, "json, ASCII, upper": `p\"4'ss w0rd\\/+&%\u00E9-it-is`,
		"literal": `p"4''ss w0rd\/+&%é-it-is`, "E literal": `p"4''ss w0rd\\/+&%é-it-is`, "identifier": `p""4'ss w0rd\/+&%é-it-is`,
		"array": `p\"4'ss w0rd\\/+&%é-it-is`, "bytea": `p"4'ss w0rd\\/+&%\303\251-it-is`, "copy": `p"4'ss w0rd\\/+&%é-it-is`,
		"xml": `p"4'ss w0rd\/+&amp;%é-it-is`, "html": `p&#34;4&#39;ss w0rd\/+&amp;%é-it-is`,
	}
	for pad := range 80 {
		plain := strings.Repeat("x", pad) + echoed + "behind it"
		texts[fmt.Sprintf("base64 at %d", pad)] = base64.StdEncoding.EncodeToString([]byte(plain))
		texts[fmt.Sprintf("base64url at %d", pad)] = base64.RawURLEncoding.EncodeToString([]byte(plain))
		for _, lineBreak := range []string{"\n", "\r\n", `\n`} {
			texts[fmt.Sprintf("base64 at %d in lines of %q", pad, lineBreak)] = wrap(base64.StdEncoding.EncodeToString([]byte(plain)), lineBreak, 76)
		}
	}
	e := echoOf(echoed)
	for name, text := range texts {
		p := []byte("before " + text + " after")
		whole := bytes.Clone(p)
		if !e.Contains(p) || !e.Redact(p) || e.Contains(p) {
			t.Errorf("%s: not found in %q", name, text)
		}
		if len(p) != len(whole) || !bytes.HasPrefix(p, []byte("before ")) || !bytes.HasSuffix(p, []byte(" after")) {
			t.Errorf("%s: changed more than the secret: %q", name, p)
		}
	}
}

func TestEchoOfShortPasswordInBase64(t *testing.T) {
	e := echoOf("s3cr3t")
	for pad := range 150 {
		for _, lineBreak := range []string{"\n", `\n`} {
			text := wrap(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("y", pad)+"s3cr3t....")), lineBreak, 76)
			if !e.Contains([]byte(text)) {
				t.Errorf("at %d: not found in %q", pad, text)
			}
		}
	}
}

func TestEchoOfWideAndHashed(t *testing.T) {
	e := echoOf("correct-horse")
	for _, text := range []string{
		"c\x00o\x00r\x00r\x00e\x00c\x00t\x00-\x00h\x00o\x00r\x00s\x00e\x00", "\x00c\x00o\x00r\x00r\x00e\x00c\x00t\x00-\x00h\x00o\x00r\x00s\x00e",
		"md5" + md5Of("correct-horseapp"),
	} {
		if !e.Contains([]byte(text)) {
			t.Errorf("not found in %q", text)
		}
	}
	for _, text := range []string{"correct-hors", "correct horse", "orrect-horse", "", "c", strings.Repeat("correct-", 100)} {
		if e.Contains([]byte(text)) {
			t.Errorf("found in %q", text)
		}
	}
}

func TestEchoLooksForEveryCredential(t *testing.T) {
	e := newEcho([]*credsource.Credential{
		{Password: secret.New("first-password")},
		nil,
		{Password: secret.New("second"), Token: secret.New("token-of-the-third")},
		{PrivateKey: secret.New("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4\n-----END KEY-----\n")},
		{Password: secret.New("short")},
	})
	for text, want := range map[string]bool{
		"first-password": true, "second": true, "token-of-the-third": true, "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj": true,
		"-----BEGIN KEY-----": false, "short": false, "MzEfYyjiWA4R4": false,
	} {
		if e.Contains([]byte(".."+text+"..")) != want {
			t.Errorf("%q: found: %v", text, !want)
		}
	}
}

func TestEchoOverwritesWithSomethingElse(t *testing.T) {
	e := echoOf("***###")
	p := []byte("a ***### b")
	if !e.Redact(p) || string(p) != "a ------ b" {
		t.Errorf("got %q", p)
	}
	e = echoOf("aaaaaab", "aabcccc")
	if p = []byte("aaaaaabcccc"); !e.Redact(p) || string(p) != "***********" {
		t.Errorf("overlapping: got %q", p)
	}
}

func TestZeroEchoFindsNothing(t *testing.T) {
	for _, e := range []*Echo{nil, {}, newEcho(nil), echoOf(""), echoOf("abc")} {
		p := []byte("abc abc")
		if e.Contains(p) || e.Redact(p) || e.Longest() != 0 {
			t.Error("found something")
		}
		s := e.Stream()
		if got := s.Rest(s.Next(nil, p)); string(got) != "abc abc" {
			t.Errorf("stream: %q", got)
		}
	}
}

func TestEchoStreamHoldsBackLittle(t *testing.T) {
	e := echoOf("correct-horse-battery")
	s := e.Stream()
	for _, c := range []struct{ in, out string }{
		{"prompt> ", "prompt> "}, {"correct-", ""}, {"answer", "correct-answer"}, {"xcorrect-horse-", "x"}, {"battery!", "*********************!"},
	} {
		if got := s.Next(nil, []byte(c.in)); string(got) != c.out {
			t.Errorf("%q: released %q, want %q", c.in, got, c.out)
		}
	}
}

// In whatever pieces a stream comes, what goes out is what one look at all of it
// would let out.
func FuzzEchoStream(f *testing.F) {
	for pad := range 3 {
		f.Add([]byte("x"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", pad)+echoed))+"y"), []byte{3, 1, 9})
	}
	f.Add([]byte(echoed+hex.EncodeToString([]byte("s3cr3t"))+"s3crs3cr3t"), []byte{1})
	f.Add([]byte("s3cr3t3tabab\x01s3cr"), []byte{4, 2})
	f.Add([]byte(wrap(base64.StdEncoding.EncodeToString([]byte("...."+echoed+".........")), `\n`, 10)), []byte{2})
	e := echoOf(echoed, "s3cr3t", "r3t3tab", "ababab")
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		want := bytes.Clone(text)
		e.Redact(want)
		s, rest := e.Stream(), text
		var got []byte
		for i := 0; len(rest) > 0; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])%64+1)
			}
			got = s.Next(got, rest[:n])
			rest = rest[n:]
			if held := len(text) - len(rest) - len(got); held < 0 || held >= e.Longest() {
				t.Fatalf("%d bytes held", held)
			}
		}
		if got = s.Rest(got); !bytes.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if e.Contains(got) {
			t.Fatalf("a secret is left in %q", got)
		}
	})
}

func BenchmarkEcho(b *testing.B) {
	var rows []byte
	for i := range 20000 {
		rows = fmt.Appendf(rows, "D\x00\x00\x00\x40\x00\x03%d\x00\x00\x00\x10user%d@example.com\x00\x00\x00\x20Lorem ipsum dolor sit amet, %x", i, i, i*7919)
	}
	for _, password := range []string{"s3cr3t", "correct-horse", "Tr0ub4dor-and-3-staples-in-here!"} {
		e := echoOf(password)
		b.Run(fmt.Sprint(len(password)), func(b *testing.B) {
			b.SetBytes(int64(len(rows)))
			for b.Loop() {
				if e.Redact(rows) {
					b.Fatal("found")
				}
			}
		})
	}
}

// hostileEchoes are texts that are made of what encoded secrets are made of.
func hostileEchoes() []string {
	return []string{"0", "00", "30", "3000", "61006200", "A", "AA", "QUFB", "YWFh", "%30", "\\u0000", "\\", "&#", "\n", "'", "\x00", "a\x00", "s3", "aaaaaa0", "c3"}
}

// Who doesn't know a secret can't make the search compare its appearances with much
// of a text.
func TestEchoComparesLittle(t *testing.T) {
	const size = 1 << 16
	for _, password := range []string{"s3cr3t", "correct-horse", "Tr0ub4dor-and-3-staples-in-here!"} {
		e := echoOf(password)
		for _, part := range hostileEchoes() {
			p, compared := []byte(strings.Repeat(part, size/len(part))), 0
			for i := e.window - 1; i < len(p); i++ {
				compared += len(e.suspects(p, i))
			}
			if compared > size/8 {
				t.Errorf("%q: %d comparisons with %q repeated", password, compared, part)
			}
		}
	}
}

func BenchmarkEchoHostile(b *testing.B) {
	e := echoOf("s3cr3t", "correct-horse", "Tr0ub4dor-and-3-staples-in-here!", "00000000-0000-4000-8000-000000000001", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	for _, part := range hostileEchoes() {
		p := []byte(strings.Repeat(part, (1<<18)/len(part)))
		b.Run(fmt.Sprintf("%q", part), func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if e.Contains(p) {
					b.Fatal("found")
				}
			}
		})
	}
}

func BenchmarkNewEcho(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		echoOf("Tr0ub4dor-and-3-staples")
	}
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Wherever in a long text, in whichever of the places that are searched at a time.
func TestEchoInLongData(t *testing.T) {
	for _, password := range []string{"s3cr3t", "correct-horse-battery"} {
		e := echoOf(password)
		clean := bytes.Repeat([]byte("s3cr3.correct-horse 0123456789abcdef;"), 150)
		for at := 0; at+len(password) <= len(clean); at++ {
			text := bytes.Clone(clean)
			copy(text[at:], password)
			want := bytes.Clone(text)
			copy(want[at:], strings.Repeat("*", len(password)))
			other := (at + 2500) % (len(text) - len(password))
			if d := other - at; d > len(password) || -d > len(password) {
				copy(text[other:], password)
				copy(want[other:], strings.Repeat("*", len(password)))
			}
			if !e.Redact(text) || !bytes.Equal(text, want) {
				t.Fatalf("%s at %d", password, at)
			}
		}
	}
}
