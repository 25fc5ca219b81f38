package opa

import (
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A plan says which parts of a Go value a policy can read. The input document is
// built by it and so is the key of a remembered decision: what is not in the
// plan the policy never sees, so nothing else can make two decisions differ.
//
// A plan is made once per policy from the Go types, so that fields that the
// vocabulary gains later are covered by themselves.
type plan struct {
	kind  planKind
	steps []step   // structs: the members read
	names []string // maps: the keys read, nil for all
	elem  *plan    // slices and maps: the plan of the elements
}

type planKind uint8

const (
	kindString planKind = iota
	kindBool
	kindInt
	kindUint
	kindFloat
	kindTime
	kindAny
	kindSlice
	kindMap
	kindStruct
)

// A step is one member of a struct that is read.
type step struct {
	member
	key  *ast.Term
	plan *plan
}

// newPlan returns the plan for values of type t of which r is read. The schema
// has been made of the same types before, which refuses what a plan can't hold.
func newPlan(t reflect.Type, r *readSet) *plan {
	t = indirect(t)
	if isTime(t) {
		return &plan{kind: kindTime}
	}
	switch t.Kind() {
	case reflect.String:
		return &plan{kind: kindString}
	case reflect.Bool:
		return &plan{kind: kindBool}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &plan{kind: kindInt}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &plan{kind: kindUint}
	case reflect.Float32, reflect.Float64:
		return &plan{kind: kindFloat}
	case reflect.Slice:
		return &plan{kind: kindSlice, elem: newPlan(t.Elem(), &readSet{all: true})}
	case reflect.Map:
		return newMapPlan(t, r)
	case reflect.Struct:
		p := &plan{kind: kindStruct}
		p.addSteps(t, r)
		return p
	default:
		return &plan{kind: kindAny}
	}
}

func newMapPlan(t reflect.Type, r *readSet) *plan {
	p := &plan{kind: kindMap, elem: newPlan(t.Elem(), &readSet{all: true})}
	if !r.all {
		p.names = sortedKeys(r.below)
	}
	return p
}

func (p *plan) addSteps(t reflect.Type, r *readSet) {
	for _, m := range members(t) {
		below := r
		if m.name != "" {
			below = r.at(m.name)
		}
		if below == nil {
			continue
		}
		s := step{member: m, plan: newPlan(m.typ, below)}
		if m.name != "" {
			s.key = ast.StringTerm(m.name)
		} else if len(s.plan.steps) == 0 {
			continue
		}
		p.steps = append(p.steps, s)
	}
}

// step returns the step of a member by its JSON name, nil if it isn't read.
func (p *plan) step(name string) *step {
	if p == nil {
		return nil
	}
	for i := range p.steps {
		if p.steps[i].name == name {
			return &p.steps[i]
		}
	}
	return nil
}

// skip reports whether a member is absent from the document: an empty one that
// JSON omits, and a null pointer, so that rules that need it are undefined.
func (s *step) skip(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return v.IsNil()
	case reflect.Slice, reflect.Map:
		return s.omitZero && v.Len() == 0
	default:
		return s.omitZero && v.IsZero()
	}
}
