package opa

import (
	"reflect"
	"strings"
	"time"
)

// A member is one field of a Go struct as encoding/json sees it. The members of
// an embedded struct stand in the place of the embedded field, which is how
// policy.Facts becomes part of the command.
type member struct {
	name     string // its JSON name; "" for an embedded struct
	index    int
	typ      reflect.Type
	omitZero bool // omitempty or omitzero
}

// members returns the fields of the struct type t that JSON shows.
func members(t reflect.Type) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if name == "" && !f.Anonymous {
			name = f.Name
		}
		out = append(out, member{name: name, index: i, typ: f.Type, omitZero: strings.Contains(options, "omit")})
	}
	return out
}

func isTime(t reflect.Type) bool { return t == reflect.TypeFor[time.Time]() }

// indirect returns what a pointer type points to, and any other type as it is.
func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
