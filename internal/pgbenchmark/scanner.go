//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/headgate/gateway/internal/labelled"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
)

// scannerFigures measures the search for personal data and secrets alone, with all
// kinds on: its speed on rows of which few hold any, and how well it does on
// labelled rows of which one in two holds something.
func (*bench) scannerFigures(ctx context.Context) ([]figure, error) {
	set, err := mask.NewSet(mask.Config{})
	if err != nil {
		return nil, err
	}
	rules, err := set.Rules([]policy.Mask{{Table: "*.*", Column: "*", Detect: []string{mask.DetectAll}, Method: mask.MethodRedact}})
	if err != nil {
		return nil, err
	}
	const rows = 20_000
	speed, err := searchSpeed(ctx, rules, labelled.Rows(rows))
	if err != nil {
		return nil, err
	}
	got := searchQuality(rules, rows)
	return []figure{
		{name: "search for all kinds", unit: "MB/CPU s", value: speed, target: 300, stretch: 600, atLeast: true},
		{name: "its precision", unit: "%", value: got.precision(), target: 99, atLeast: true},
		{name: "its recall", unit: "%", value: got.recall(), target: 99, atLeast: true},
	}, nil
}

// searchSpeed returns how many MB are searched, and what is found in them replaced,
// in a second of this process's CPU.
func searchSpeed(ctx context.Context, rules *mask.Rules, rows [][]byte) (float64, error) {
	const least = 0.5 // seconds
	var out []byte
	size, before := 0, processCPU(os.Getpid())
	for {
		for _, row := range rows {
			out = rules.Message(out[:0], row)
			size += len(row)
		}
		used := processCPU(os.Getpid()) - before
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !(used >= 0):
			return 0, errors.New("the process's CPU time is not known")
		case used > least:
			return float64(size) / 1e6 / used, nil
		}
	}
}

// A quality counts what was found of what there was, and what else.
type quality struct{ right, missed, wrong int }

func (q *quality) precision() float64 {
	return 100 * float64(q.right) / float64(max(1, q.right+q.wrong))
}
func (q *quality) recall() float64 { return 100 * float64(q.right) / float64(max(1, q.right+q.missed)) }

// searchQuality scans n rows of which one in two is labelled with a kind, in turn.
func searchQuality(rules *mask.Rules, n int) *quality {
	q := new(quality)
	g, kinds := labelled.New(3), labelled.Kinds()
	for i := range n {
		row := labelled.Text{Text: g.Plain()}
		if i%2 == 0 {
			row = g.Dressed(kinds[i/2%len(kinds)])
		}
		q.count(row, string(rules.Message(nil, []byte(row.Text))), kinds)
	}
	return q
}

// count compares what became of a row with what is in it.
func (q *quality) count(row labelled.Text, out string, kinds []string) {
	tags := 0
	for _, k := range kinds {
		tags += strings.Count(out, "["+k+"]")
	}
	switch {
	case row.Found == "":
	case strings.Contains(out, "["+row.Kind+"]") && !strings.Contains(out, row.Found):
		q.right++
		tags--
	default:
		q.missed++
	}
	q.wrong += tags
}
