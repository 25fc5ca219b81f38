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
	atDirect = 0
	atCopy   = 1
)

// pathNames are the paths in their order.
var pathNames = [...]string{"direct", "copy", "gateway"}

// A point is one path's figures of one round.
type point struct {
	perSecond float64
	latency   time.Duration
	cpu       float64 // seconds of the proxy per unit, NaN if not known
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

// report prints what every workload cost on each path, and the latency added
// where there is one client.
func report(out io.Writer, loads []workload, results map[string]*series) error {
	if err := reportCost(out, loads, results); err != nil {
		return err
	}
	return reportLatency(out, loads, results)
}

func reportCost(out io.Writer, loads []workload, results map[string]*series) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "workload\tunit\tdirect/s\t")
	paths := 0
	for _, load := range loads {
		paths = max(paths, len(results[load.name].rounds[0].at))
	}
	for _, name := range pathNames[atCopy:paths] {
		fmt.Fprintf(w, "%s of direct\tCPU us/unit\t", name)
	}
	fmt.Fprintln(w, "x copy\ttarget\tstretch\t")
	for _, load := range loads {
		s := results[load.name]
		fmt.Fprintf(w, "%s\t%s\t%.0f\t", load.name, load.unit, s.over(func(at []point) float64 { return at[atDirect].perSecond }))
		for i := atCopy; i < paths; i++ {
			fmt.Fprintf(w, "%.2f\t%s\t",
				s.over(func(at []point) float64 { return at[i].perSecond / at[atDirect].perSecond }),
				number("%.1f", s.over(func(at []point) float64 { return at[i].cpu * 1e6 })))
		}
		last := paths - 1
		fmt.Fprintf(w, "%s\t%s\t%s\t\n",
			number("%.2f", s.over(func(at []point) float64 { return at[last].cpu / at[atCopy].cpu })),
			aim("<=", load.target), aim("<=", load.stretch))
	}
	return w.Flush()
}

func reportLatency(out io.Writer, loads []workload, results map[string]*series) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for n, load := range slices.DeleteFunc(slices.Clone(loads), func(w workload) bool { return w.clients != 1 }) {
		s := results[load.name]
		paths := len(s.rounds[0].at)
		if n == 0 {
			fmt.Fprint(w, "\none client\tdirect us\t")
			for _, name := range pathNames[atCopy:paths] {
				fmt.Fprintf(w, "%s adds us\tx copy\t", name)
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\t%.1f\t", load.name, s.over(func(at []point) float64 { return micros(at[atDirect].latency) }))
		for i := atCopy; i < paths; i++ {
			fmt.Fprintf(w, "%.1f\t%.2f\t", s.over(func(at []point) float64 { return added(at, i) }),
				s.over(func(at []point) float64 { return added(at, i) / added(at, atCopy) }))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// reportFigures prints what is measured by itself.
func reportFigures(out io.Writer, figures []figure) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nfigure\tunit\tvalue\ttarget\tstretch\t")
	for _, f := range figures {
		sign := "<="
		if f.atLeast {
			sign = ">="
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%s\t%s\t\n", f.name, f.unit, f.value, aim(sign, f.target), aim(sign, f.stretch))
	}
	return w.Flush()
}

// added returns the microseconds that path i adds to the direct path.
func added(at []point, i int) float64 { return micros(at[i].latency) - micros(at[atDirect].latency) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// number formats v, or "n/a" if it is not known.
func number(format string, v float64) string {
	if math.IsNaN(v) {
		return "n/a"
	}
	return fmt.Sprintf(format, v)
}

// aim formats a goal, "-" for none.
func aim(sign string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%s %g", sign, v)
}
