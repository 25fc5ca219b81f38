package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/headgate/gateway/record"
)

// A teller writes the story and remembers what went wrong in it. What comes from
// elsewhere is made visible before it is written: the story may run on a
// terminal.
type teller struct {
	out    io.Writer
	step   int
	faults []error
}

// heading starts a step.
func (t *teller) heading(title string) {
	t.step++
	_, _ = fmt.Fprintf(t.out, "\n%d. %s\n", t.step, title)
}

// linef writes a named fact.
func (t *teller) linef(name, format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, "   %-10s %s\n", name, record.Sanitize(fmt.Sprintf(format, args...)))
}

// table writes rows in columns.
func (t *teller) table(rows [][]string) {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for i, row := range rows {
		name := "   "
		if i == 0 {
			name = "   gets"
		}
		for j := range row {
			row[j] = record.Sanitize(row[j])
		}
		_, _ = fmt.Fprintf(w, "%-13s %s\n", name, strings.Join(row, "\t"))
	}
	_ = w.Flush()
}

// block writes indented text that is safe already.
func (t *teller) block(text string) {
	for line := range strings.Lines(text) {
		_, _ = fmt.Fprintf(t.out, "      %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// checkf notes what did not turn out as it should.
func (t *teller) checkf(ok bool, format string, args ...any) {
	if ok {
		return
	}
	err := fmt.Errorf("step %d: "+format, append([]any{t.step}, args...)...)
	t.faults = append(t.faults, err)
	t.linef("WRONG", "%v", err)
}

// err is everything that went wrong.
func (t *teller) err() error { return errors.Join(t.faults...) }
