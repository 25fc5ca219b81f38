//go:build unix

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// The places of the paths in a round.
const (
	atDirect   = 0
	atCopy     = 1
	firstProxy = atCopy
)

// A point is one path's figures of one round.
type point struct {
	perSecond float64
	latency   time.Duration
	cpu       float64 // seconds of the proxy per statement, NaN if not known
}

// A turn is one round: a point for each path.
type turn struct{ at []point }

// A series holds a workload's rounds.
type series struct{ rounds []turn }

// over returns the median over the rounds of what f makes of each.
func (s *series) over(f func(at []point) float64) float64 {
	var values []float64
	for _, r := range s.rounds {
		if v := f(r.at); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return median(values)
}

// median returns NaN for no values. It reorders them.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return values[mid]
	}
	return (values[mid-1] + values[mid]) / 2
}

// report prints two tables: throughput and CPU time of every workload, and the
// latency added where there is one client.
func report(out io.Writer, names []string, loads []workload, results map[string]*series) error {
	if err := reportThroughput(out, names, loads, results); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return reportLatency(out, names, loads, results)
}

func reportThroughput(out io.Writer, names []string, loads []workload, results map[string]*series) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "workload\tdirect tps\t")
	for _, name := range names[firstProxy:] {
		fmt.Fprintf(w, "%s of direct\tCPU us/statement\tx copy\t", name)
	}
	fmt.Fprintln(w)
	for _, load := range loads {
		s := results[load.name]
		fmt.Fprintf(w, "%s\t%.0f\t", load.name, s.over(func(at []point) float64 { return at[atDirect].perSecond }))
		for i := firstProxy; i < len(names); i++ {
			fmt.Fprintf(w, "%.2f\t%s\t%s\t",
				s.over(func(at []point) float64 { return at[i].perSecond / at[atDirect].perSecond }),
				figure("%.1f", s.over(func(at []point) float64 { return at[i].cpu * 1e6 })),
				figure("%.2f", s.over(func(at []point) float64 { return at[i].cpu / at[atCopy].cpu })))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func reportLatency(out io.Writer, names []string, loads []workload, results map[string]*series) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "one client\tdirect us\t")
	for _, name := range names[firstProxy:] {
		fmt.Fprintf(w, "%s adds us\tx copy\t", name)
	}
	fmt.Fprintln(w)
	for _, load := range loads {
		if load.clients != 1 {
			continue
		}
		s := results[load.name]
		fmt.Fprintf(w, "%s\t%.1f\t", load.name, s.over(func(at []point) float64 { return micros(at[atDirect].latency) }))
		for i := firstProxy; i < len(names); i++ {
			fmt.Fprintf(w, "%.1f\t%.2f\t", s.over(func(at []point) float64 { return added(at, i) }),
				s.over(func(at []point) float64 { return added(at, i) / added(at, atCopy) }))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// added returns the microseconds that path i adds to the direct path.
func added(at []point, i int) float64 { return micros(at[i].latency) - micros(at[atDirect].latency) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// figure formats v, or "-" if it is not known.
func figure(format string, v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf(format, v)
}
