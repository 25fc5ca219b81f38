package opa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// document returns the parts of v that the plan reads, as OPA wants them. It is
// what encoding/json would make of them, except that nil pointers are absent and
// nil slices and maps are empty.
func (p *plan) document(v reflect.Value) (*ast.Term, error) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch p.kind {
	case kindString:
		return ast.StringTerm(validText(v.String())), nil
	case kindBool:
		return ast.InternedTerm(v.Bool()), nil
	case kindInt:
		return ast.NumberTerm(json.Number(strconv.FormatInt(v.Int(), 10))), nil
	case kindUint:
		return ast.NumberTerm(json.Number(strconv.FormatUint(v.Uint(), 10))), nil
	case kindTime:
		text, err := timeText(v)
		return ast.StringTerm(text), err
	case kindSlice:
		return p.sliceDocument(v)
	case kindMap:
		return p.mapDocument(v)
	case kindStruct:
		pairs, err := p.structPairs(make([][2]*ast.Term, 0, len(p.steps)), v)
		return ast.NewTerm(ast.NewObject(pairs...)), err
	default:
		return anyDocument(v.Interface())
	}
}

func (p *plan) sliceDocument(v reflect.Value) (*ast.Term, error) {
	terms := make([]*ast.Term, v.Len())
	for i := range terms {
		t, err := p.elem.document(v.Index(i))
		if err != nil {
			return nil, err
		}
		terms[i] = t
	}
	return ast.ArrayTerm(terms...), nil
}

func (p *plan) structPairs(pairs [][2]*ast.Term, v reflect.Value) ([][2]*ast.Term, error) {
	for i := range p.steps {
		s := &p.steps[i]
		f := v.Field(s.index)
		if s.skip(f) {
			continue
		}
		if s.name == "" {
			var err error
			if pairs, err = s.plan.structPairs(pairs, reflect.Indirect(f)); err != nil {
				return nil, err
			}
			continue
		}
		t, err := s.plan.document(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		pairs = append(pairs, [2]*ast.Term{s.key, t})
	}
	return pairs, nil
}

func (p *plan) mapDocument(v reflect.Value) (*ast.Term, error) {
	var pairs [][2]*ast.Term
	for _, name := range p.keys(v) {
		t, err := p.elem.document(v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pairs = append(pairs, [2]*ast.Term{ast.StringTerm(validText(name)), t})
	}
	return ast.NewTerm(ast.NewObject(pairs...)), nil
}

// keys returns the keys of the map v that are read, in order.
func (p *plan) keys(v reflect.Value) []string {
	if p.names == nil {
		keys := make([]string, 0, v.Len())
		for k := range v.Seq() {
			keys = append(keys, k.String())
		}
		slices.Sort(keys)
		return keys
	}
	var keys []string
	for _, name := range p.names {
		if v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())).IsValid() {
			keys = append(keys, name)
		}
	}
	return keys
}

// anyDocument converts a value of no fixed type, such as a claim, by way of its
// JSON form.
func anyDocument(v any) (*ast.Term, error) {
	switch v := v.(type) {
	case nil:
		return ast.NullTerm(), nil
	case string:
		return ast.StringTerm(validText(v)), nil
	case bool:
		return ast.InternedTerm(v), nil
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	value, err := ast.ValueFromReader(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	return ast.NewTerm(value), nil
}

// timeText returns the time that v holds as encoding/json writes it.
func timeText(v reflect.Value) (string, error) {
	t, ok := reflect.TypeAssert[time.Time](v)
	if !ok {
		return "", fmt.Errorf("%v is not a time", v.Type())
	}
	text, err := t.MarshalText()
	return string(text), err
}

// validText replaces each byte that isn't UTF-8 by U+FFFD, as encoding/json does.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
