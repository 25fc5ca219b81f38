package scan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/mask/internal/scan"
)

// A labelled text is what a generator makes: something to find, or only what looks
// like it.
type labelled struct {
	text  string
	kind  scan.Kind
	found string // "" if nothing is to be found
}

// generator draws texts, the same ones for the same seed.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 7))} //nolint:gosec // repeatable
}

func (g generator) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.IntN(len(alphabet))]
	}
	return string(b)
}

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

const (
	digits = "0123456789"
	lowers = "abcdefghijklmnopqrstuvwxyz"
	uppers = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hexes  = "0123456789abcdef"
	words  = lowers + uppers + digits
)

// card draws a number with a valid check digit, computed apart from the scanner.
func (g generator) card() string {
	prefix := g.pick("4", "51", "55", "2221", "34", "37", "6011", "65", "3528", "36")
	size := 16
	if prefix == "34" || prefix == "37" {
		size = 15
	} else if prefix == "36" {
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

func (g generator) iban() string {
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
func (g generator) positive(k scan.Kind) string {
	switch k {
	case scan.Email:
		return g.from(lowers, 1+g.IntN(9)) + g.pick("", ".", "_", "+", "-") + g.from(lowers+digits, 1+g.IntN(5)) + "@" + g.from(lowers, 2+g.IntN(8)) + g.pick(".com", ".co.uk", ".example", ".io")
	case scan.Card:
		return g.card()
	case scan.IBAN:
		return g.iban()
	case scan.SSN:
		return fmt.Sprintf("%03d-%02d-%04d", 1+g.IntN(665), 1+g.IntN(99), 1+g.IntN(9999))
	case scan.Phone:
		area, exchange, line := 200+g.IntN(800), 200+g.IntN(800), g.IntN(10000)
		return fmt.Sprintf(g.pick("+1%03d%03d%04d", "+1 (%03d) %03d-%04d", "(%03d) %03d-%04d", "%03d-%03d-%04d", "%03d.%03d.%04d", "+44 %03d %03d %04d"), area, exchange, line)
	case scan.IP:
		if g.IntN(2) == 0 {
			return fmt.Sprintf("%d.%d.%d.%d", 1+g.IntN(126), g.IntN(256), g.IntN(256), g.IntN(256))
		}
		return fmt.Sprintf("2001:db8:%x::%x", 1+g.IntN(0xffff), 1+g.IntN(0xffff))
	case scan.JWT:
		return g.pick("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJhbGciOiJSUzI1NiJ9", "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9") + ".eyJ" + g.from(words+"-_", 20+g.IntN(200)) + "." + g.from(words+"-_", 42) + "A"
	case scan.PrivateKey:
		name := g.pick("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED ")
		return "-----BEGIN " + name + "PRIVATE KEY-----\n" + strings.Repeat(g.from(words+"+/", 64)+"\n", 1+g.IntN(20)) + "-----END " + name + "PRIVATE KEY-----"
	case scan.APIKey:
		return g.pick("AKIA"+g.from(uppers+"234567", 16), "ghp_"+g.from(words, 36), "glpat-"+g.from(words, 20), "xoxb-"+g.from(digits, 12)+"-"+g.from(digits, 12)+"-"+g.from(words, 24), "sk_live_"+g.from(words, 24),
			"AIza"+g.from(words+"-_", 34)+"a", "npm_"+g.from(words, 36), "sk-ant-api03-"+g.from(words, 40), "SG."+g.from(words, 22)+"."+g.from(words, 43), "SK"+g.from(hexes, 32))
	case scan.Secret:
		return g.from(words, 40)
	default:
		return g.from(lowers, 6) + ":" + g.from(words, 12)
	}
}

// dressed puts something of a kind into a sentence.
func (g generator) dressed(k scan.Kind) labelled {
	found := g.positive(k)
	before, after := g.pick("", "see ", "was: ", "x=\"", "(", "a\tb\t", "id 7, "), g.pick("", " and so on", ", ok", "\tnext", "\" y", ").")
	if k == scan.URL {
		before, after = g.pick("postgres://", "see https://"), "@db.example/x"
	}
	return labelled{before + found + after, k, found}
}

// plain draws a text in which there is nothing to find.
func (g generator) plain() string {
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

// quality counts, for one kind.
type quality struct{ right, missed, wrong int }

func (q quality) precision() float64 { return float64(q.right) / float64(max(1, q.right+q.wrong)) }
func (q quality) recall() float64    { return float64(q.right) / float64(max(1, q.right+q.missed)) }

// measure scans n rows of which one in two is labelled with a kind, in turn. A
// match counts as right if it covers what is to be found, with at most a byte more
// on either side; any other is wrong for its kind.
func measure(n int, seed uint64) (by [scan.Kinds]quality, size int) {
	g := newGenerator(seed)
	for i := range n {
		row := labelled{text: g.plain()}
		if i%2 == 0 {
			row = g.dressed(scan.Kind(i / 2 % int(scan.Kinds))) //nolint:gosec // small
		}
		size += len(row.text)
		at, hit := strings.Index(row.text, row.found), false
		for _, s := range scan.Resolve(scan.Append(nil, []byte(row.text), scan.All), scan.Span{}) {
			if row.found != "" && s.Kind == row.kind && s.Start <= at && s.Start >= at-1 && s.End >= at+len(row.found) && s.End <= at+len(row.found)+1 {
				hit = true
			} else {
				by[s.Kind].wrong++
			}
		}
		switch {
		case row.found == "":
		case hit:
			by[row.kind].right++
		default:
			by[row.kind].missed++
		}
	}
	return by, size
}

// TestQuality holds the least precision and recall of each kind.
func TestQuality(t *testing.T) {
	by, _ := measure(40_000, 1)
	for k := range scan.Kinds {
		q, recall := by[k], 0.99
		if k == scan.Secret {
			recall = 0.95 // some that are drawn at random don't look so
		}
		t.Logf("%-16s precision %.4f recall %.4f (%+v)", k, q.precision(), q.recall(), q)
		if q.precision() < 0.99 || q.recall() < recall {
			t.Errorf("%s: precision %.4f, recall %.4f", k, q.precision(), q.recall())
		}
	}
}

func BenchmarkDetectQuality(b *testing.B) {
	var all quality
	size, began := 0, time.Now()
	for b.Loop() {
		by, n := measure(2000, 2)
		size += n
		for _, q := range by {
			all.right, all.missed, all.wrong = all.right+q.right, all.missed+q.missed, all.wrong+q.wrong
		}
	}
	b.ReportMetric(all.precision(), "precision")
	b.ReportMetric(all.recall(), "recall")
	b.ReportMetric(float64(size)/1e6/time.Since(began).Seconds(), "MB/s-with-generator")
}

// Time is linear: four times the text takes about four times as long, whatever the
// text is. Work is counted in time, so the bound is wide; a quadratic scan takes
// sixteen times as long.
func TestTimeIsLinear(t *testing.T) {
	for name, part := range hostile() {
		short := []byte(strings.Repeat(part, 1+(64<<10)/len(part)))
		long := []byte(strings.Repeat(part, 1+(512<<10)/len(part)))
		least := func(text []byte) time.Duration {
			best := time.Hour
			var spans []scan.Span
			for range 4 {
				began := time.Now()
				spans = scan.Append(spans[:0], text, scan.All)
				best = min(best, time.Since(began))
			}
			return best
		}
		if a, b := least(short), least(long); b > 40*a+20*time.Millisecond {
			t.Errorf("%s: %v for 64 KiB, %v for 512 KiB", name, a, b)
		}
	}
}

func TestCleanTextDoesNotAllocate(t *testing.T) {
	text := []byte("4711\tobject number 12\tready\tnothing to see, score 12.5\t2024-01-05 10:11:12 550e8400-e29b-41d4-a716-446655440000 da39a3ee5e6b4b0d3255bfef95601890afd80709")
	if n := testing.AllocsPerRun(100, func() {
		if scan.Any(text, scan.All) || len(scan.Append(nil, text, scan.All)) > 0 {
			t.Error("something was found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
