package pgproxy

import (
	"fmt"
	"strconv"

	"github.com/headgate/gateway/mask"
)

// types knows the types that users have made. It is immutable once it is settled.
type types struct {
	defined map[uint32]definition
	fields  map[uint32][]fieldType // by the relation that has them
	settled map[uint32]mask.Type
}

// A definition is what pg_type says of a type.
type definition struct {
	kind       byte // typtype
	base, elem uint32
	typmod     int32 // of a domain's base type
	relation   uint32
	label      string
	isText     bool
}

type fieldType struct {
	oid    uint32
	typmod int32
}

// maxTypeDepth bounds how deep types stand in one another. What is deeper can only
// become NULL.
const maxTypeDepth = 8

// of returns the type of an OID as it stands in a RowDescription.
func (t *types) of(oid uint32, typmod int32) mask.Type {
	if known, ok := t.settled[oid]; ok {
		return known
	}
	return mask.TypeOID(oid, typmod)
}

// settle works out all types.
func (t *types) settle() {
	t.settled = make(map[uint32]mask.Type, len(t.defined))
	for oid := range t.defined {
		if typ := t.resolve(oid, -1, 0); typ.Kind != mask.KindUnknown {
			t.settled[oid] = typ
		}
	}
	t.defined, t.fields = nil, nil
}

// resolve works out one type.
func (t *types) resolve(oid uint32, typmod int32, depth int) mask.Type {
	if typ := mask.TypeOID(oid, typmod); typ.Kind != mask.KindUnknown || depth > maxTypeDepth {
		return typ
	}
	d, ok := t.defined[oid]
	switch {
	case !ok:
		return mask.Type{}
	case d.kind == 'd':
		return t.resolve(d.base, d.typmod, depth+1)
	case d.kind == 'e':
		return mask.Type{Kind: mask.KindEnum, Shape: &mask.Shape{Label: d.label}}
	case d.kind == 'r':
		return mask.Type{Kind: mask.KindRange}
	case d.kind == 'm':
		return mask.Type{Kind: mask.KindMultirange}
	case d.kind == 'c':
		return t.composite(d, depth)
	case d.elem != 0:
		typ := t.resolve(d.elem, typmod, depth+1)
		if typ.Kind == mask.KindUnknown || typ.Array { // an array of a domain over arrays has arrays for elements
			return mask.Type{}
		}
		typ.Array, typ.Element = true, d.elem
		return typ
	case d.isText:
		return mask.Type{Kind: mask.KindText}
	default:
		return mask.Type{}
	}
}

// composite has fields that can't be forged too: they become NULL.
func (t *types) composite(d definition, depth int) mask.Type {
	fields, ok := t.fields[d.relation]
	if !ok || depth == maxTypeDepth {
		return mask.Type{}
	}
	shape := &mask.Shape{Fields: make([]mask.Type, len(fields))}
	for i, f := range fields {
		shape.Fields[i] = t.resolve(f.oid, f.typmod, depth+1)
	}
	return mask.Type{Kind: mask.KindComposite, Shape: shape}
}

func (c *catalogue) addFieldType(row []string) error {
	ids, err := oids(row[:2])
	if err != nil {
		return fmt.Errorf("field %q: %w", row, err)
	}
	typmod, err := strconv.ParseInt(row[2], 10, 32)
	if err != nil {
		return fmt.Errorf("field %q: %w", row, err)
	}
	if c.types.fields == nil {
		c.types.fields = map[uint32][]fieldType{}
	}
	c.types.fields[ids[0]] = append(c.types.fields[ids[0]], fieldType{ids[1], int32(typmod)})
	return nil
}

func (c *catalogue) addType(row []string) error {
	ids, err := oids([]string{row[0], row[2], row[4], row[5]})
	if err != nil || len(row[1]) != 1 {
		return fmt.Errorf("type %q: %w", row, err)
	}
	typmod, err := strconv.ParseInt(row[3], 10, 32)
	if err != nil {
		return fmt.Errorf("type %q: %w", row, err)
	}
	if c.types.defined == nil {
		c.types.defined = map[uint32]definition{}
	}
	c.types.defined[ids[0]] = definition{
		kind: row[1][0], base: ids[1], typmod: int32(typmod), elem: ids[2], relation: ids[3], label: row[6], isText: row[7] == "t",
	}
	return nil
}
