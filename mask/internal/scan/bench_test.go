package scan_test

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/labelled"
	"github.com/headgate/gateway/mask/internal/scan"
)

func BenchmarkAppend(b *testing.B) {
	rows := labelled.Rows(1000)
	for _, whole := range []bool{false, true} {
		b.Run(fmt.Sprintf("whole=%v", whole), func(b *testing.B) {
			in := rows
			if whole {
				in = [][]byte{bytes.Join(rows, nil)}
			}
			b.SetBytes(int64(len(bytes.Join(rows, nil))))
			b.ReportAllocs()
			cpu := cpuTime()
			var spans []scan.Span
			for b.Loop() {
				for _, row := range in {
					spans = scan.Append(spans[:0], row, scan.All)
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(bytes.Join(rows, nil)))/1e6/(cpuTime()-cpu).Seconds(), "MB/cpu-s")
		})
	}
}

// hostile are texts that a scan must not take long for.
func hostile() map[string]string {
	return map[string]string{
		"at": "@", "a@": "a@", "mail": "a.b@c.", "digits": "4", "groups": "4111 ", "dashes": "123-45-", "plus": "+1 (2) ", "dots": "1.2.", "colons": ":", "hex": "a:", "urls": "http://a:", "double": "://",
		"pem": "-----BEGIN RSA PRIVATE KEY-----", "dash": "-", "putty": "PuTTY-User-Key-File-", "jwt": "eyJ", "header": "eyJhbGciOiJIUzI1NiJ9.", "word": "aB3dE5gH7jK9mN1p", "keys": "-aaaaaaaaaaaaaaaa", "prefixes": "sk-aaaaaaaaaaaaaaaaaaaa.", "base64": "aB3/",
		"pairs": "password=", "pairs2": "token:\"", "iban": "DE89 ", "iban2": "DE89", "local": "aaaaaaaa.", "zero": "\x00", "utf8": "ä@ä.", "phone": "030 12 ", "names": "api_key_", "spaces": " :",
		"jwts": "eyJeyJeyJeyJabcd-", "headers": strings.Repeat("eyJeyJeyJeyJabcd-", 75) + ".", "payloads": "eyJhbGciOiJIUzI1NiJ9." + strings.Repeat("eyJhbGciOiJIUzI1NiJ9-", 140) + ".",
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, part := range hostile() {
		text := []byte(strings.Repeat(part, (1<<18)/len(part)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			cpu := cpuTime()
			var spans []scan.Span
			for b.Loop() {
				spans = scan.Append(spans[:0], text, scan.All)
			}
			b.ReportMetric(float64(b.N)*float64(len(text))/1e6/(cpuTime()-cpu).Seconds(), "MB/cpu-s")
		})
	}
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
