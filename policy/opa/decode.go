package opa

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/headgate/gateway/policy"
)

// decode makes a Decision of the values of the named outputs. It refuses
// whatever doesn't follow the contract, also on paths that would deny anyhow.
func decode(names []string, values *ast.Array) (policy.Decision, error) {
	var r result
	for i, name := range names {
		found, ok := values.Elem(i).Value.(*ast.Array)
		if !ok {
			return policy.Decision{}, fmt.Errorf("%s: not evaluated", name)
		}
		if found.Len() == 0 {
			continue // undefined
		}
		if err := r.output(name, found.Elem(0).Value); err != nil {
			return policy.Decision{}, err
		}
	}
	r.sort()
	return r.decision(), nil
}

// A result is what the outputs said, before they are weighed.
type result struct {
	allow     bool
	deny, ask []policy.Reason
	masks     []policy.Mask
	limit     *policy.Limit
	labels    map[string]string
}

// sort puts entries in an order that doesn't depend on which fields they have.
func (r *result) sort() {
	for _, reasons := range [][]policy.Reason{r.deny, r.ask} {
		slices.SortStableFunc(reasons, func(a, b policy.Reason) int {
			return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
		})
	}
	slices.SortStableFunc(r.masks, func(a, b policy.Mask) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Method, b.Method), slices.Compare(a.Detect, b.Detect))
	})
}

// decision weighs: deny beats ask beats allow beats nothing, which is deny.
func (r *result) decision() policy.Decision {
	d := policy.Decision{Labels: r.labels}
	switch {
	case len(r.deny) > 0:
		d.Reasons = r.deny
		return d
	case len(r.ask) > 0:
		d.Outcome, d.Reasons = policy.Ask, r.ask
	case r.allow:
		d.Outcome = policy.Allow
	default:
		return d
	}
	d.Masks, d.Limit = r.masks, r.limit
	return d
}

func (r *result) output(name string, v ast.Value) error {
	if name == "allow" {
		allow, ok := v.(ast.Boolean)
		if !ok {
			return fmt.Errorf("allow is %s, not a boolean", ast.ValueName(v))
		}
		r.allow = bool(allow)
		return nil
	}
	set, ok := v.(ast.Set)
	if !ok {
		return fmt.Errorf("%s is %s, not a set", name, ast.ValueName(v))
	}
	for _, t := range set.Slice() {
		if err := r.entry(name, t.Value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (r *result) entry(name string, v ast.Value) (err error) {
	switch name {
	case "deny":
		r.deny, err = appendReason(r.deny, name, v)
	case "ask":
		r.ask, err = appendReason(r.ask, name, v)
	case "mask":
		err = r.addMask(v)
	case "limit":
		err = r.addLimit(v)
	case "label":
		err = r.addLabel(v)
	default:
		err = fmt.Errorf("unknown output")
	}
	return err
}

// appendReason reads an entry of deny or ask: an object, or a message alone.
func appendReason(to []policy.Reason, output string, v ast.Value) ([]policy.Reason, error) {
	reason := policy.Reason{Rule: output}
	if s, ok := v.(ast.String); ok {
		if s == "" {
			return nil, fmt.Errorf("the message is empty")
		}
		reason.Message = string(s)
		return append(to, reason), nil
	}
	e, err := newEntry(v)
	if err != nil {
		return nil, err
	}
	e.text("rule", &reason.Rule, false)
	e.text("message", &reason.Message, true)
	e.text("hint", &reason.Hint, false)
	if output == "ask" {
		e.texts("approvers", &reason.Approvers)
		e.duration("expires", &reason.Expires)
	}
	return append(to, reason), e.end()
}

func (r *result) addMask(v ast.Value) error {
	e, err := newEntry(v)
	if err != nil {
		return err
	}
	var m policy.Mask
	keep := int64(-1)
	e.text("table", &m.Table, true)
	e.text("column", &m.Column, true)
	e.text("method", &m.Method, true)
	e.count("keep", &keep, 0)
	e.texts("detect", &m.Detect)
	e.text("filter", &m.Filter, false)
	e.text("untraced", &m.Untraced, false)
	if err := e.end(); err != nil {
		return err
	}
	schema, table, ok := strings.Cut(m.Table, ".")
	switch {
	case !ok || schema == "" || table == "":
		return fmt.Errorf("table %q is not of the form schema.table", m.Table)
	case !knownMethod(m.Method):
		return fmt.Errorf("unknown method %q", m.Method)
	case keep >= 0 && m.Method != "partial":
		return fmt.Errorf("method %q has no keep", m.Method)
	case len(m.Detect) > 0 && (m.Filter != "" || m.Untraced != ""):
		return fmt.Errorf("detect has neither filter nor untraced")
	case !oneOf(m.Filter, "", policy.MaskAllow, policy.MaskRefuse):
		return fmt.Errorf("unknown filter %q", m.Filter)
	case !oneOf(m.Untraced, "", policy.MaskWhole, policy.MaskRefuse):
		return fmt.Errorf("unknown untraced %q", m.Untraced)
	}
	m.Keep = int(max(keep, 0))
	r.masks = append(r.masks, m)
	return nil
}

func oneOf(s string, choices ...string) bool { return slices.Contains(choices, s) }

func knownMethod(name string) bool {
	switch name {
	case "redact", "partial", "email", "hash", "null", "fake":
		return true
	default:
		return false
	}
}

func (r *result) addLimit(v ast.Value) error {
	e, err := newEntry(v)
	if err != nil {
		return err
	}
	var l policy.Limit
	e.count("rows", &l.Rows, 1)
	e.count("bytes", &l.Bytes, 1)
	e.seconds("seconds", &l.Timeout)
	e.count("commands_per_minute", &l.CommandsPerMinute, 1)
	if err := e.end(); err != nil {
		return err
	}
	if l == (policy.Limit{}) {
		return fmt.Errorf("limits nothing")
	}
	if r.limit != nil {
		l = r.limit.Stricter(l)
	}
	r.limit = &l
	return nil
}

func (r *result) addLabel(v ast.Value) error {
	e, err := newEntry(v)
	if err != nil {
		return err
	}
	var key, value string
	e.text("key", &key, true)
	e.text("value", &value, true)
	if err := e.end(); err != nil {
		return err
	}
	if old, ok := r.labels[key]; ok && old != value {
		return fmt.Errorf("%q is both %q and %q", key, old, value)
	}
	if r.labels == nil {
		r.labels = make(map[string]string)
	}
	r.labels[key] = value
	return nil
}

// maxSeconds keeps durations within what time.Duration holds.
const maxSeconds = float64(1<<63-1) / float64(time.Second)
