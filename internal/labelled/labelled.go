// Package labelled generates texts of which it is known what personal data and
// secrets are in them, to measure a search for them with.
package labelled

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Kinds are the kinds of what Dressed draws, as policies name them.
func Kinds() []string {
	return []string{"email", "card", "iban", "ssn", "phone", "ip", "jwt", "private_key", "api_key", "secret", "url_credentials"}
}

// A Text is something to find, or with empty Found only what looks like it.
type Text struct {
	Text  string
	Kind  string
	Found string
}

// Rows returns rows of text of which one in ten has an e-mail address and a card.
func Rows(n int) [][]byte {
	rows := make([][]byte, n)
	for i := range rows {
		if i%10 == 0 {
			rows[i] = fmt.Appendf(nil, "%d\tPerson %d\tperson%d@example.com\t4111111111111111\tcalled about the order, will call again\n", i, i, i)
		} else {
			rows[i] = fmt.Appendf(nil, "%d\tobject number %d\tready\tnothing to see in this one, score %d.5, moved on\t2024-01-%02d 10:11:12\n", i, i, i%97, 1+i%28)
		}
	}
	return rows
}

// A Generator draws texts, the same ones for the same seed.
type Generator struct{ *rand.Rand }

// New makes a Generator.
func New(seed uint64) Generator {
	return Generator{rand.New(rand.NewPCG(seed, 7))} //nolint:gosec // repeatable
}

func (g Generator) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.IntN(len(alphabet))]
	}
	return string(b)
}

func (g Generator) pick(of ...string) string { return of[g.IntN(len(of))] }

const (
	digits = "0123456789"
	lowers = "abcdefghijklmnopqrstuvwxyz"
	uppers = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hexes  = "0123456789abcdef"
	words  = lowers + uppers + digits
)

// card draws a number with a valid check digit, computed apart from the scanner.
func (g Generator) card() string {
	prefix := g.pick("4", "51", "55", "2221", "34", "37", "6011", "65", "3528", "36")
	size := 16
	switch prefix {
	case "34", "37":
		size = 15
	case "36":
		size = 14
	}
	body := prefix + g.from(digits, size-1-len(prefix))
	for check := byte('0'); check <= '9'; check++ {
		sum, n := 0, body+string(check)
		for i := range len(n) {
			d := int(n[len(n)-1-i] - '0')
			sum += d
			if i%2 == 1 {
				sum += d - 9*(d/5)
			}
		}
		if sum%10 == 0 {
			body = n
			break
		}
	}
	if sep := g.pick("", " ", "-"); size == 16 && sep != "" {
		return body[:4] + sep + body[4:8] + sep + body[8:12] + sep + body[12:]
	}
	return body
}

func (g Generator) iban() string {
	bban := g.from(digits, 18)
	rest := 0
	for _, c := range bban + "131400" { // DE00
		rest = (rest*10 + int(c-'0')) % 97
	}
	n := fmt.Sprintf("DE%02d%s", 98-rest, bban)
	if g.IntN(2) == 0 {
		return n
	}
	return n[:4] + " " + n[4:8] + " " + n[8:12] + " " + n[12:16] + " " + n[16:20] + " " + n[20:]
}

// positive draws something of a kind.
func (g Generator) positive(kind string) string {
	switch kind {
	case "email":
		return g.from(lowers, 1+g.IntN(9)) + g.pick("", ".", "_", "+", "-") + g.from(lowers+digits, 1+g.IntN(5)) + "@" + g.from(lowers, 2+g.IntN(8)) + g.pick(".com", ".co.uk", ".example", ".io")
	case "card":
		return g.card()
	case "iban":
		return g.iban()
	case "ssn":
		return fmt.Sprintf("%03d-%02d-%04d", 1+g.IntN(665), 1+g.IntN(99), 1+g.IntN(9999))
	case "phone":
		area, exchange, line := 200+g.IntN(800), 200+g.IntN(800), g.IntN(10000)
		return fmt.Sprintf(g.pick("+1%03d%03d%04d", "+1 (%03d) %03d-%04d", "(%03d) %03d-%04d", "%03d-%03d-%04d", "%03d.%03d.%04d", "+44 %03d %03d %04d"), area, exchange, line)
	case "ip":
		if g.IntN(2) == 0 {
			return fmt.Sprintf("%d.%d.%d.%d", 1+g.IntN(126), g.IntN(256), g.IntN(256), g.IntN(256))
		}
		return fmt.Sprintf("2001:db8:%x::%x", 1+g.IntN(0xffff), 1+g.IntN(0xffff))
	case "jwt":
		return g.pick("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJhbGciOiJSUzI1NiJ9", "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9") + ".eyJ" + g.from(words+"-_", 20+g.IntN(200)) + "." + g.from(words+"-_", 42) + "A"
	case "private_key":
		name := g.pick("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED ")
		return "-----BEGIN " + name + "PRIVATE KEY-----\n" + strings.Repeat(g.from(words+"+/", 64)+"\n", 1+g.IntN(20)) + "-----END " + name + "PRIVATE KEY-----"
	case "api_key":
		return g.pick("AKIA"+g.from(uppers+"234567", 16), "ghp_"+g.from(words, 36), "glpat-"+g.from(words, 20), "xoxb-"+g.from(digits, 12)+"-"+g.from(digits, 12)+"-"+g.from(words, 24), "sk_live_"+g.from(words, 24),
			"AIza"+g.from(words+"-_", 34)+"a", "npm_"+g.from(words, 36), "sk-ant-api03-"+g.from(words, 40), "SG."+g.from(words, 22)+"."+g.from(words, 43), "SK"+g.from(hexes, 32))
	case "secret":
		return g.from(words, 40)
	default:
		return g.from(lowers, 6) + ":" + g.from(words, 12)
	}
}

// Dressed puts something of a kind, by its name in policies, into a sentence.
func (g Generator) Dressed(kind string) Text {
	found := g.positive(kind)
	before, after := g.pick("", "see ", "was: ", "x=\"", "(", "a\tb\t", "id 7, "), g.pick("", " and so on", ", ok", "\tnext", "\" y", ").")
	if kind == "url_credentials" {
		before, after = g.pick("postgres://", "see https://"), "@db.example/x"
	}
	return Text{before + found + after, kind, found}
}

// Plain draws a text in which there is nothing to find.
func (g Generator) Plain() string {
	switch g.IntN(16) {
	case 0:
		return g.from(hexes, 8) + "-" + g.from(hexes, 4) + "-4" + g.from(hexes, 3) + "-a" + g.from(hexes, 3) + "-" + g.from(hexes, 12)
	case 1:
		return "commit " + g.from(hexes, 40)
	case 2:
		return "sha256:" + g.from(hexes, 64)
	case 3:
		return fmt.Sprintf("2024-%02d-%02d %02d:%02d:%02d.%06d+00", 1+g.IntN(12), 1+g.IntN(28), g.IntN(24), g.IntN(60), g.IntN(60), g.IntN(1e6))
	case 4:
		return fmt.Sprintf("$%d,%03d.%02d", g.IntN(999), g.IntN(1000), g.IntN(100))
	case 5:
		return "ticket " + g.from(digits, 9)
	case 6:
		return fmt.Sprintf("v%d.%d.%d.%d", g.IntN(30), g.IntN(30), g.IntN(30), g.IntN(30))
	case 7:
		return "order 17" + g.from(digits, 14)
	case 8:
		return g.pick("S3 and EKS", "k8s", "EC2 us-east-1", "arn:aws:s3:::bucket", "HTTP/2", "x86_64", "ISO 8601", "RFC 5321 §4.5.3.1")
	case 9:
		return "@" + g.from(lowers, 8) + " said at " + fmt.Sprintf("%02d:%02d", g.IntN(24), g.IntN(60))
	case 10:
		return g.from(hexes, 2) + ":" + g.from(hexes, 2) + ":" + g.from(hexes, 2) + ":" + g.from(hexes, 2) + ":" + g.from(hexes, 2) + ":" + g.from(hexes, 2)
	case 11:
		return "std::" + g.from(lowers, 5) + "::" + g.from(lowers, 5) + "(" + g.from(digits, 3) + ", " + g.from(digits, 4) + ")"
	case 12:
		return "get" + strings.Repeat(g.pick("User", "Account", "Order"), 12) + "V2"
	case 13:
		return "/usr/lib/" + g.from(lowers, 12) + "/" + g.from(lowers, 20) + "-" + g.from(digits, 2) + ".so"
	case 14:
		return "password: " + g.pick("required", "must be set", "none", "********")
	default:
		return strings.Repeat(g.from(lowers, 1+g.IntN(9))+" ", 12) + g.from(digits, 4) + " " + g.from(digits, 3) + " " + g.from(digits, 2)
	}
}
