package file

import (
	"strings"
	"testing"

	"github.com/headgate/gateway/credsource"
)

// FuzzDecode checks that no content makes a decoder panic, return a credential
// without a secret, or show what it has read.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "\n", "pw\r\n", `{"username":"u","password":"p","expires":"2040-01-01T00:00:00Z"}`,
		`{"token":"t"}`, `{"password":1}`, `{"password":"a"} x`, "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"} {
		f.Add([]byte(seed), []byte(""))
	}
	f.Fuzz(func(t *testing.T, content, key []byte) {
		for _, format := range []Format{FormatPassword, FormatToken, FormatPrivateKey, FormatJSON, FormatTLS} {
			var c credsource.Credential
			text := string(content) // a decoder may keep content
			err := decoderOf(format)(&c, []byte(text), key)
			if err == nil && len(c.Secrets()) == 0 && c.Certificate == nil {
				t.Errorf("%s: %q is a credential without a secret", format, text)
			}
			if err != nil && len(text) > 16 && strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q shows the content", format, err)
			}
		}
	})
}
