package opa

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
)

// canonical appends the parts of v that the plan reads to dst, so that two
// values give the same bytes only if their documents are equal. Lengths come
// first and absence is marked, so that nothing collides by joining.
func (p *plan) canonical(dst []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch p.kind {
	case kindString:
		return appendText(dst, v.String()), nil
	case kindBool:
		if v.Bool() {
			return append(dst, 1), nil
		}
		return append(dst, 0), nil
	case kindInt:
		return binary.AppendVarint(dst, v.Int()), nil
	case kindUint:
		return binary.BigEndian.AppendUint64(dst, v.Uint()), nil
	case kindFloat:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float())), nil
	case kindTime:
		return appendTime(dst, v)
	case kindSlice:
		return p.canonicalSlice(dst, v)
	case kindMap:
		return p.canonicalMap(dst, v)
	case kindStruct:
		return p.canonicalStruct(dst, v)
	default:
		return appendAny(dst, v.Interface())
	}
}

func (p *plan) canonicalSlice(dst []byte, v reflect.Value) ([]byte, error) {
	dst = appendLength(dst, v.Len())
	for i := range v.Len() {
		var err error
		if dst, err = p.elem.canonical(dst, v.Index(i)); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (p *plan) canonicalMap(dst []byte, v reflect.Value) ([]byte, error) {
	keys := p.keys(v)
	dst = appendLength(dst, len(keys))
	for _, k := range keys {
		var err error
		dst = appendText(dst, k)
		if dst, err = p.elem.canonical(dst, v.MapIndex(reflect.ValueOf(k).Convert(v.Type().Key()))); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (p *plan) canonicalStruct(dst []byte, v reflect.Value) ([]byte, error) {
	for i := range p.steps {
		s := &p.steps[i]
		f := v.Field(s.index)
		if s.skip(f) {
			dst = append(dst, 0)
			continue
		}
		var err error
		if dst, err = s.plan.canonical(append(dst, 1), f); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func appendTime(dst []byte, v reflect.Value) ([]byte, error) {
	t, err := timeText(v)
	return appendText(dst, t), err
}

// appendAny writes a value of no fixed type. A string and the JSON of another
// value are told apart by their first byte.
func appendAny(dst []byte, v any) ([]byte, error) {
	if s, ok := v.(string); ok {
		return appendText(append(dst, 's'), s), nil
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return appendText(append(dst, 'j'), string(doc)), nil
}

func appendText(dst []byte, s string) []byte {
	return append(appendLength(dst, len(s)), s...)
}

func appendLength(dst []byte, n int) []byte {
	return binary.AppendVarint(dst, int64(n))
}
