package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// maxDepth bounds how deep arrays and objects of a header or of claims nest.
const maxDepth = 20

var errNotObject = errors.New("not a JSON object")

// decodeObject reads a JSON object (RFC 8259) whose members, at any depth, have
// different names. Numbers become json.Number. Errors hold nothing of doc.
func decodeObject(doc []byte) (map[string]any, error) {
	if !utf8.Valid(doc) || !json.Valid(doc) {
		return nil, errNotObject
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	v, err := decodeValue(d, maxDepth)
	if err != nil {
		return nil, err
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return members, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	next, err := d.Token()
	if err != nil {
		return nil, errNotObject
	}
	start, nested := next.(json.Delim)
	switch {
	case !nested:
		return next, nil
	case depth == 0:
		return nil, errors.New("JSON nests too deep")
	case start == '{':
		return decodeMembers(d, depth-1)
	default:
		return decodeElements(d, depth-1)
	}
}

func decodeMembers(d *json.Decoder, depth int) (any, error) {
	members := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errNotObject
		}
		text, ok := name.(string)
		if !ok {
			return nil, errNotObject
		}
		if _, twice := members[text]; twice {
			return nil, errors.New("a JSON member occurs twice")
		}
		if members[text], err = decodeValue(d, depth); err != nil {
			return nil, err
		}
	}
	return members, closeDelim(d)
}

func decodeElements(d *json.Decoder, depth int) (any, error) {
	elements := []any{}
	for d.More() {
		v, err := decodeValue(d, depth)
		if err != nil {
			return nil, err
		}
		elements = append(elements, v)
	}
	return elements, closeDelim(d)
}

func closeDelim(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errNotObject
	}
	return nil
}
