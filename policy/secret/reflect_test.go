package secret_test

import (
	"bytes"
	"reflect"
	"strings"
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
	if search(reflect.ValueOf(&struct{ b *[]byte }{new([]byte(canary))}), 0) == "" {
		t.Error("the search finds nothing at all")
	}
	if a, b := secret.New(canary), secret.New(canary); a == b {
		t.Error("== compares content")
	}
}

// search looks for the canary below v and returns the kind of what holds it.
func search(v reflect.Value, depth int) string {
	if depth > 12 {
		return ""
	}
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(v.String(), "canary") {
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
		for _, f := range v.Fields() {
			if found := search(f, depth+1); found != "" {
				return found
			}
		}
	default: // holds no text
	}
	return ""
}
