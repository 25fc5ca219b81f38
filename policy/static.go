package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// A StaticRule is one rule of a Static policy, written in Go.
type StaticRule struct {
	// Match says whether the rule applies to a command. It is called
	// concurrently and must not change in. It is required.
	Match func(in *Input) bool
	// Reason is what the Decision shows for a rule that denies or asks. Its Rule
	// and Message are required there; other rules ignore it.
	Reason Reason
	// Masks are added to the Decision of a command that is not denied.
	Masks []Mask
	// Limit is combined with those of other rules, the stricter value of each
	// field; the zero Limit adds none.
	Limit Limit
	// Labels are added to the Decision. Two matching rules that give a label
	// different values are an error, which denies.
	Labels map[string]string
}

// StaticConfig lists the rules of a Static policy. The zero StaticConfig denies
// everything.
type StaticConfig struct {
	Deny  []StaticRule // refuse, whatever Ask and Allow say
	Ask   []StaticRule // hold for a human, whatever Allow says
	Allow []StaticRule // let pass
	// Also are rules without a say in the outcome: their masks, limit and labels
	// count when they match.
	Also []StaticRule
	// Revision is what the evaluator reports as its revision; "" means "static".
	// It must change whenever the rules do.
	Revision string
}

// Static is a policy written as Go functions: the reference implementation of
// Evaluator, for tests and for hosts whose rules are few. The zero Static
// denies. A Static is safe for concurrent use.
type Static struct {
	cfg StaticConfig
}

var (
	_ Evaluator  = (*Static)(nil)
	_ Revisioner = (*Static)(nil)
)

// NewStatic returns a Static with a copy of cfg. It is an error if a rule has no
// Match, or if a rule that denies or asks has no name or message.
func NewStatic(cfg StaticConfig) (*Static, error) {
	cfg.Deny, cfg.Ask = slices.Clone(cfg.Deny), slices.Clone(cfg.Ask)
	cfg.Allow, cfg.Also = slices.Clone(cfg.Allow), slices.Clone(cfg.Also)
	if cfg.Revision == "" {
		cfg.Revision = "static"
	}
	for _, rules := range [][]StaticRule{cfg.Deny, cfg.Ask, cfg.Allow, cfg.Also} {
		for _, r := range rules {
			if r.Match == nil {
				return nil, fmt.Errorf("policy: rule %q has no Match", r.Reason.Rule)
			}
		}
	}
	for _, r := range slices.Concat(cfg.Deny, cfg.Ask) {
		if r.Reason.Rule == "" || r.Reason.Message == "" {
			return nil, fmt.Errorf("policy: rule %q needs a name and a message", r.Reason.Rule)
		}
	}
	return &Static{cfg: cfg}, nil
}

// Revision returns the configured revision.
func (s *Static) Revision() string { return s.cfg.Revision }

// Evaluate decides in. A rule that panics and a conflict of labels are errors.
func (s *Static) Evaluate(ctx context.Context, in *Input) (d Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = Decision{}, fmt.Errorf("policy: a rule panicked: %v", r)
		}
	}()
	if in == nil {
		return Decision{}, ErrNoInput
	}
	if err := ctx.Err(); err != nil {
		return Decision{}, fmt.Errorf("policy: %w", err)
	}
	d.Revision = s.cfg.Revision
	if err := s.collect(&d, in); err != nil {
		return Decision{}, err
	}
	if d.Outcome == Deny {
		d.Masks, d.Limit = nil, nil
	}
	return d, nil
}

// collect applies every matching rule, the strongest outcome first.
func (s *Static) collect(d *Decision, in *Input) error {
	denied, err := apply(d, s.cfg.Deny, in, true)
	if err != nil {
		return err
	}
	asked, err := apply(d, s.cfg.Ask, in, !denied)
	if err != nil {
		return err
	}
	allowed, err := apply(d, s.cfg.Allow, in, false)
	if err != nil {
		return err
	}
	if _, err := apply(d, s.cfg.Also, in, false); err != nil {
		return err
	}
	switch {
	case denied:
		d.Outcome = Deny
	case asked:
		d.Outcome = Ask
	case allowed:
		d.Outcome = Allow
	}
	return nil
}

// apply adds what the matching rules say to d and reports whether there was one.
func apply(d *Decision, rules []StaticRule, in *Input, reasons bool) (bool, error) {
	matched := false
	for i := range rules {
		r := &rules[i]
		if !r.Match(in) {
			continue
		}
		matched = true
		if reasons {
			d.Reasons = append(d.Reasons, r.Reason)
		}
		d.Masks = append(d.Masks, r.Masks...)
		d.limit(r.Limit)
		if err := d.label(r.Labels); err != nil {
			return false, err
		}
	}
	return matched, nil
}

func (d *Decision) limit(l Limit) {
	if l == (Limit{}) {
		return
	}
	if d.Limit != nil {
		l = d.Limit.Stricter(l)
	}
	d.Limit = &l
}

func (d *Decision) label(labels map[string]string) error {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if old, ok := d.Labels[k]; ok && old != labels[k] {
			return fmt.Errorf("policy: two rules set the label %q differently", k)
		}
		if d.Labels == nil {
			d.Labels = make(map[string]string)
		}
		d.Labels[k] = labels[k]
	}
	return nil
}
