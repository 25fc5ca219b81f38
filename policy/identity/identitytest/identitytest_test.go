package identitytest_test

import (
	"encoding/base64"
	"testing"

	"github.com/headgate/gateway/policy/identity/identitytest"
)

func TestLeak(t *testing.T) {
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"a-long-key-id"}`))
	token := header + ".c2VjcmV0LWNsYWltcw.signature-of-it"
	for text, want := range map[string]bool{
		"identity: malformed":                        false,
		"refused " + token:                           true,
		"refused signature-of-it":                    true,
		"refused secret-claims":                      true,
		"refused " + header[:len(header)/4+2] + "..": true,
		"refused sig":                                false,
	} {
		if got := identitytest.Leak(token, text) != ""; got != want {
			t.Errorf("Leak in %q: %v", text, got)
		}
	}
	if got := identitytest.Leak("", "anything"); got != "" {
		t.Errorf("an empty token is shown as %q", got)
	}
}
