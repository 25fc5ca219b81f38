package opa

import (
	"fmt"
	"math"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// An entry reads one object of an output set. Its methods read a field each and
// keep the first error; end also refuses fields that none of them asked for.
type entry struct {
	obj  ast.Object
	read int
	err  error
}

func newEntry(v ast.Value) (*entry, error) {
	obj, ok := v.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("an entry is %s, not an object", ast.ValueName(v))
	}
	return &entry{obj: obj}, nil
}

func (e *entry) failf(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

// get returns a field, nil if it is absent.
func (e *entry) get(name string) ast.Value {
	t := e.obj.Get(ast.StringTerm(name))
	if t == nil {
		return nil
	}
	e.read++
	return t.Value
}

// text reads a string that must not be empty.
func (e *entry) text(name string, to *string, required bool) {
	v := e.get(name)
	if v == nil {
		if required {
			e.failf("%s is missing", name)
		}
		return
	}
	s, ok := v.(ast.String)
	if !ok || s == "" {
		e.failf("%s is not a string with content", name)
		return
	}
	*to = string(s)
}

// texts reads an array or set of strings.
func (e *entry) texts(name string, to *[]string) {
	v := e.get(name)
	if v == nil {
		return
	}
	var terms []*ast.Term
	switch v := v.(type) {
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { terms = append(terms, t) })
	case ast.Set:
		terms = v.Slice()
	}
	if len(terms) == 0 {
		e.failf("%s is not a list with content", name)
	}
	for _, t := range terms {
		s, ok := t.Value.(ast.String)
		if !ok || s == "" {
			e.failf("%s holds what is not a string with content", name)
			return
		}
		*to = append(*to, string(s))
	}
}

// count reads a whole number of at least least.
func (e *entry) count(name string, to *int64, least int64) {
	v := e.get(name)
	if v == nil {
		return
	}
	n, ok := v.(ast.Number)
	if !ok {
		e.failf("%s is not a number", name)
		return
	}
	i, ok := n.Int64()
	if !ok || i < least || i > math.MaxInt32 && name == "keep" {
		e.failf("%s is not a whole number from %d", name, least)
		return
	}
	*to = i
}

// seconds reads a positive number of seconds, fractions allowed.
func (e *entry) seconds(name string, to *time.Duration) {
	v := e.get(name)
	if v == nil {
		return
	}
	n, ok := v.(ast.Number)
	if !ok {
		e.failf("%s is not a number", name)
		return
	}
	f, ok := n.Float64()
	d := time.Duration(f * float64(time.Second))
	if !ok || !(f > 0 && f < maxSeconds) || d <= 0 {
		e.failf("%s is not a positive number of seconds", name)
		return
	}
	*to = d
}

// duration reads a positive duration as "10m" or "1h30m".
func (e *entry) duration(name string, to *time.Duration) {
	v := e.get(name)
	if v == nil {
		return
	}
	s, ok := v.(ast.String)
	if !ok {
		e.failf(`%s is not a duration as "10m"`, name)
		return
	}
	d, err := time.ParseDuration(string(s))
	if err != nil || d <= 0 {
		e.failf(`%s is not a duration as "10m"`, name)
		return
	}
	*to = d
}

// end returns the first error, or one for a field that isn't in the contract.
func (e *entry) end() error {
	if e.err == nil && e.read != e.obj.Len() {
		return fmt.Errorf("unknown field in %v", e.obj.Keys())
	}
	return e.err
}
