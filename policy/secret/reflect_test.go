package secret_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/headgate/gateway/policy/secret"
)

// TestReflection: a printer that follows every pointer and every unexported
// field, as debugging libraries do, doesn't meet the content.
func TestReflection(t *testing.T) {
	h := newHolder()
	if found := search(reflect.ValueOf(&h), 0); found != "" {
		t.Errorf("reflection finds the content in a %s", found)
	}
	if search(reflect.ValueOf(&struct{ b *[]byte }{ptr([]byte(canary))}), 0) == "" {
		t.Error("the search finds nothing at all")
	}
	if secret.New(canary) == secret.New(canary) {
		t.Error("== compares content")
	}
}

func ptr[T any](v T) *T { return &v }

// search looks for the canary below v and returns the kind of what holds it.
func search(v reflect.Value, depth int) string {
	if depth > 12 {
		return ""
	}
	switch v.Kind() {
	case reflect.String:
		if bytes.Contains([]byte(v.String()), []byte("canary")) {
			return "string"
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 && bytes.Contains(v.Bytes(), []byte("canary")) {
			return "byte slice"
		}
		for i := range v.Len() {
			if found := search(v.Index(i), depth+1); found != "" {
				return found
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if found := search(v.MapIndex(k), depth+1); found != "" {
				return found
			}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return search(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if found := search(v.Field(i), depth+1); found != "" {
				return found
			}
		}
	}
	return ""
}
