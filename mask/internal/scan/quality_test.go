package scan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/labelled"
	"github.com/headgate/gateway/mask/internal/scan"
)

// quality counts, for one kind.
type quality struct{ right, missed, wrong int }

func (q quality) precision() float64 { return float64(q.right) / float64(max(1, q.right+q.wrong)) }
func (q quality) recall() float64    { return float64(q.right) / float64(max(1, q.right+q.missed)) }

// measure scans n rows of which one in two is labelled with a kind, in turn. A
// match counts as right if it covers what is to be found, with at most a byte more
// on either side; any other is wrong for its kind.
func measure(n int, seed uint64) (by [scan.Kinds]quality, size int) {
	g := labelled.New(seed)
	for i := range n {
		kind := scan.Kind(i / 2 % int(scan.Kinds))
		row := labelled.Text{Text: g.Plain()}
		if i%2 == 0 {
			row = g.Dressed(kind.String())
		}
		size += len(row.Text)
		at, hit := strings.Index(row.Text, row.Found), false
		for _, s := range scan.Resolve(scan.Append(nil, []byte(row.Text), scan.All), scan.Span{}) {
			if row.Found != "" && s.Kind == kind && s.Start <= at && s.Start >= at-1 && s.End >= at+len(row.Found) && s.End <= at+len(row.Found)+1 {
				hit = true
			} else {
				by[s.Kind].wrong++
			}
		}
		switch {
		case row.Found == "":
		case hit:
			by[kind].right++
		default:
			by[kind].missed++
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
// text is. Work is counted in CPU time, so the bound is wide; a quadratic scan takes
// sixteen times as long.
func TestTimeIsLinear(t *testing.T) {
	for name, part := range hostile() {
		short := []byte(strings.Repeat(part, 1+(64<<10)/len(part)))
		long := []byte(strings.Repeat(part, 1+(512<<10)/len(part)))
		least := func(text []byte) time.Duration {
			best := time.Hour
			var spans []scan.Span
			for range 4 {
				began := cpuTime()
				spans = scan.Append(spans[:0], text, scan.All)
				best = min(best, cpuTime()-began)
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
