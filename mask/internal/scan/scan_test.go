package scan_test

import (
	"strings"
	"testing"

	"github.com/headgate/gateway/mask/internal/scan"
)

// mark puts every span of text between « and », with its kind.
func mark(text string) string {
	b := []byte(text)
	spans := scan.Resolve(scan.Append(nil, b, scan.All), scan.Span{})
	var out strings.Builder
	pos := 0
	for _, s := range spans {
		out.WriteString(text[pos:s.Start] + "«" + s.Kind.String() + ":" + text[s.Start:s.End] + "»")
		pos = s.End
	}
	return out.String() + text[pos:]
}

const (
	jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----"
)

func TestFound(t *testing.T) {
	for _, want := range []string{
		"«email:ada@secret.example»", "write to «email:a.b+c@x-y.co.uk», please", "<«email:ada@example.com»>", "«email:ädä@exämple.com».", "«email:x@y.com1»",
		"pay with «card:4111111111111111».", "«card:4111 1111 1111 1111»", "«card:4111-1111-1111-1111» 03/27", "«card:378282246310005»", "«card:3782 822463 10005»", "x«card:5555555555554444»y", "«card:30569309025904»", "«card:6011111111111117»", "id=7,card=«card:4222222222222»",
		"«iban:DE89370400440532013000»", "IBAN: «iban:GB82 WEST 1234 5698 7654 32»,", "«iban:NO9386011117947»", "«iban:de89370400440532013000»",
		"«ssn:123-45-6789»", "SSN «ssn:123456789»", "ssn is «ssn:123 45 6789»", "social security number: «ssn:123456789»",
		"«phone:+14155552671»", "«phone:+1 (415) 555-2671»", "«phone:+44 20 7946 0958»", "«phone:(415) 555-2671»", "«phone:415-555-2671»", "«phone:415.555.2671»", "tel «phone:415 555 2671»", "«phone:1-415-555-2671»", "«phone:0171 1234567»", "«phone:020 7946 0958»", "«phone:01 23 45 67 89»", "phone: «phone:4155552671»", "«phone:030/1234567»",
		"from «ip:203.0.113.9»", "http://«ip:203.0.113.9»:8080/", "«ip:2001:db8::1»", "[«ip:fe80::1ff:fe23:4567:890a»]", "«ip:2001:0db8:85a3:0000:0000:8a2e:0370:7334»", "«ip:::ffff:203.0.113.9»",
		"«jwt:" + jwt + "»", "Bearer «jwt:" + jwt + "».", "x«jwt:" + jwt + "»",
		"«private_key:" + pem + "»\n", "key = '«private_key:-----BEGIN RSA PRIVATE KEY-----\\nMIIEowIBAAKCAQEA1234567890abcdefghijkl»",
		"«api_key:AKIAIOSFODNN7EXAMPLE»", "«api_key:AIzaSyA1234567890abcdefghijklmnopqrstuv»", "«api_key:ghp_abcdefghijklmnopqrstuvwxyz0123456789»",
		"«api_key:github_pat_11ABCDEFG0123456789abc_abcdefghijklmnopqrstuvwxyz0123456789»", "«api_key:glpat-abcDEF123456ghiJKL78»", "«api_key:xoxb-123456789012-123456789012-abcdefghijklmnopqrstuvwx»",
		"«api_key:sk_live_abcdefghijklmnopqrstuvwx»", "«api_key:sk-proj-abcdefghijklmnopqrstuvwx0123»", "«api_key:sk-ant-api03-abcdefghijklmnopqrst-uv»", "«api_key:npm_abcdefghijklmnopqrstuvwxyz0123456789»",
		"«api_key:SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789abcdefg»", "«api_key:SK0123456789abcdef0123456789abcdef»",
		"password=«secret:hunter2»", "Password: «secret:s3cr3t!»", `{"password": "«secret:hunter22»"}`, "aws_secret_access_key = «secret:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»", "AccountKey=«secret:lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ==»;",
		"api_key: «secret:0123456789abcdef0123456789abcdef»", "Authorization: Bearer «secret:abcDEF123456ghi»", "wJalrXUtnFEMIsK7MDENGsbPxRfiCY-no", "token «secret:k7Gq2XzP9vLmN4sT8wRyB1dF6hJ3cA0e»",
		"postgres://«url_credentials:bob:s3cret»@db.example.com/x", "https://«url_credentials:u:p@ss»@example.com",
	} {
		text := strings.NewReplacer("»", "").Replace(want)
		for k := range scan.Kinds {
			text = strings.ReplaceAll(text, "«"+k.String()+":", "")
		}
		if got := mark(text); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if found := scan.Any([]byte(text), scan.All); found != (text != want) {
			t.Errorf("%q: Any says %v", text, found)
		}
	}
}

func TestLeftAlone(t *testing.T) {
	for _, text := range []string{
		"", "S3, EKS and k8s", "v1.2.3.4 of it", "version 1.2.3.4", "1.2.3", "1.2.3.4.5", "127.0.0.1", "0.0.0.0", "255.255.255.0", "10:11:12", "00:1a:2b:3c:4d:5e", "std::vector", "a::b", "::1", "::",
		"550e8400-e29b-41d4-a716-446655440000", "2024-01-05 10:11:12.123456+00", "2024-01-05T10:11:12Z", "1700000000000", "1700000000000000000",
		"da39a3ee5e6b4b0d3255bfef95601890afd80709", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "d41d8cd98f00b204e9800998ecf8427e",
		"$1,234.56", "123456789", "000-12-3456", "666-12-3456", "123-00-4567", "123-45-67890", "4111111111111112", "1234567890123456", "3.4111111111111111", "order 555-1234",
		"user@localhost", "@ada", "icon@2x.png", "@types/node@1.2.3", "git@github.com:org/repo.git", "password: required", "password:", "password=${PASS}", "max_tokens=4096", "token count: 5", "Password: Please choose one",
		"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "getUserAccountInformationByIdentifier2", "/usr/lib/x86_64-linux-gnu/libpthread-2.31.so", "sk-learn is a library", "task-management-for-everyone", "https://example.com/a:b@c", "ssh://git@host/x",
		"DE00370400440532013000", "DE8937040044053201300", "555 234 5678", "+49", "1+2125551234", "0001-000234", "key: value1234", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "10.0", "99 bottles, 12 of 34",
	} {
		if got := mark(text); got != text {
			t.Errorf("%q: %s", text, got)
		}
	}
}
