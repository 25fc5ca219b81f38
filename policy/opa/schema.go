package opa

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/headgate/gateway/policy"
)

// ContractVersion is the version of the Rego contract: the shape of `input` and
// of package gateway's rules. It changes when a policy that was valid before
// could stop being valid or change its meaning; new fields don't change it.
const ContractVersion = 1

// Schema returns the JSON schema of `input`, made from policy.Input. Policies
// are type-checked against it when they are loaded, and editors can use it.
// The caller owns the returned bytes.
func Schema() ([]byte, error) {
	doc, err := inputSchema()
	if err != nil {
		return nil, err
	}
	doc["$schema"] = "http://json-schema.org/draft-07/schema#"
	doc["title"] = fmt.Sprintf("Headgate policy input, contract version %d", ContractVersion)
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("opa: schema: %w", err)
	}
	return append(out, '\n'), nil
}

func inputSchema() (map[string]any, error) {
	return schemaOf(reflect.TypeFor[policy.Input]())
}

// schemaOf returns the schema of one Go type. Structs are closed, so that an
// unknown field is an error; maps are open.
func schemaOf(t reflect.Type) (map[string]any, error) {
	t = indirect(t)
	if isTime(t) {
		return map[string]any{"type": "string", "format": "date-time"}, nil
	}
	if t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return nil, fmt.Errorf("opa: %v writes its own JSON", t)
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}, nil
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Interface:
		return map[string]any{}, nil
	case reflect.Map:
		return schemaOfMap(t)
	case reflect.Slice:
		items, err := schemaOfElement(t)
		return map[string]any{"type": "array", "items": items}, err
	case reflect.Struct:
		properties := map[string]any{}
		err := addProperties(properties, t)
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}, err
	default:
		return nil, fmt.Errorf("opa: %v has no JSON schema", t)
	}
}

// schemaOfElement refuses elements that could be null or are bytes, which JSON
// writes in a form of its own.
func schemaOfElement(t reflect.Type) (map[string]any, error) {
	if k := t.Elem().Kind(); k == reflect.Pointer || k == reflect.Uint8 {
		return nil, fmt.Errorf("opa: %v has no JSON schema", t)
	}
	return schemaOf(t.Elem())
}

func schemaOfMap(t reflect.Type) (map[string]any, error) {
	if t.Key().Kind() != reflect.String {
		return nil, fmt.Errorf("opa: %v has no JSON schema", t)
	}
	values, err := schemaOfElement(t)
	return map[string]any{"type": "object", "additionalProperties": values}, err
}

func addProperties(properties map[string]any, t reflect.Type) error {
	for _, m := range members(t) {
		if m.name == "" {
			if err := addProperties(properties, indirect(m.typ)); err != nil {
				return err
			}
			continue
		}
		p, err := schemaOf(m.typ)
		if err != nil {
			return err
		}
		properties[m.name] = p
	}
	return nil
}
