package embeddedpg

import (
	"bytes"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// A dataType is a PostgreSQL type as a column's type or a result's.
type dataType struct {
	oid  uint32
	size int16
	// scale is the number of decimals of a numeric, -1 for any.
	scale int
}

func typeOf(oid uint32, size int16) dataType { return dataType{oid, size, -1} }

func textType() dataType { return typeOf(pgtype.TextOID, -1) }

// namedType maps the first word of a declared type.
func namedType(name string) (dataType, bool) {
	switch name {
	case "smallint", "int2", "smallserial":
		return typeOf(pgtype.Int2OID, 2), true
	case "int", "integer", "int4", "serial":
		return typeOf(pgtype.Int4OID, 4), true
	case "bigint", "int8", "bigserial":
		return typeOf(pgtype.Int8OID, 8), true
	case "oid":
		return typeOf(pgtype.OIDOID, 4), true
	case "real", "float4":
		return typeOf(pgtype.Float4OID, 4), true
	case "float", "float8", "double":
		return typeOf(pgtype.Float8OID, 8), true
	case "numeric", "decimal":
		return typeOf(pgtype.NumericOID, -1), true
	case "bool", "boolean":
		return typeOf(pgtype.BoolOID, 1), true
	case "varchar", "character":
		return typeOf(pgtype.VarcharOID, -1), true
	case "char", "bpchar":
		return typeOf(pgtype.BPCharOID, -1), true
	case "name":
		return typeOf(pgtype.NameOID, 64), true
	case "date":
		return typeOf(pgtype.DateOID, 4), true
	case "timestamp":
		return typeOf(pgtype.TimestampOID, 8), true
	case "timestamptz":
		return typeOf(pgtype.TimestamptzOID, 8), true
	case "uuid":
		return typeOf(pgtype.UUIDOID, 16), true
	case "json":
		return typeOf(pgtype.JSONOID, -1), true
	case "jsonb":
		return typeOf(pgtype.JSONBOID, -1), true
	case "bytea", "blob":
		return typeOf(pgtype.ByteaOID, -1), true
	case "text":
		return textType(), true
	default:
		return dataType{}, false
	}
}

// declaredType maps a column's declared type, as "numeric ( 10 , 2 )". Anything
// unknown is text.
func declaredType(declared string) dataType {
	fields := strings.FieldsFunc(foldCase(declared), func(r rune) bool { return strings.ContainsRune(" (),", r) })
	if len(fields) == 0 {
		return textType()
	}
	t, ok := namedType(fields[0])
	if !ok {
		return textType()
	}
	if t.oid == pgtype.NumericOID && len(fields) > 1 {
		t.scale = 0
		if len(fields) > 2 {
			t.scale, _ = strconv.Atoi(fields[2]) // what is no number counts as 0
		}
	}
	if t.oid == pgtype.TimestampOID && strings.Contains(foldCase(declared), "with time zone") {
		return typeOf(pgtype.TimestamptzOID, 8)
	}
	return t
}

// valueType is the type of an expression that has the value v; ok is false for
// NULL, which tells nothing.
func valueType(v driver.Value) (dataType, bool) {
	switch v.(type) {
	case int64:
		return typeOf(pgtype.Int8OID, 8), true
	case float64:
		return typeOf(pgtype.Float8OID, 8), true
	case bool:
		return typeOf(pgtype.BoolOID, 1), true
	case []byte:
		return typeOf(pgtype.ByteaOID, -1), true
	case nil:
		return dataType{}, false
	default:
		return textType(), true
	}
}

// widerType is the type that holds values of both types.
func widerType(a, b dataType) dataType {
	isNumber := func(t dataType) bool { return t.oid == pgtype.Int8OID || t.oid == pgtype.Float8OID }
	switch {
	case a == b:
		return a
	case isNumber(a) && isNumber(b):
		return typeOf(pgtype.Float8OID, 8)
	default:
		return textType()
	}
}

// encodeText writes a value that is not NULL in the type's text format.
func encodeText(t dataType, v driver.Value) ([]byte, error) {
	switch x := v.(type) {
	case int64:
		if t.oid == pgtype.BoolOID {
			return strconv.AppendBool(nil, x != 0)[:1], nil
		}
		if t.oid == pgtype.NumericOID && t.scale > 0 {
			return strconv.AppendFloat(nil, float64(x), 'f', t.scale, 64), nil
		}
		return strconv.AppendInt(nil, x, 10), nil
	case float64:
		if t.oid == pgtype.NumericOID {
			return strconv.AppendFloat(nil, x, 'f', t.scale, 64), nil
		}
		return strconv.AppendFloat(nil, x, 'g', -1, 64), nil
	case bool:
		return strconv.AppendBool(nil, x)[:1], nil
	case []byte:
		if t.oid == pgtype.ByteaOID {
			return append([]byte(`\x`), hex.EncodeToString(x)...), nil
		}
		return x, nil
	case string:
		return []byte(x), nil
	case time.Time:
		return []byte(x.Format(timeLayout(t.oid))), nil
	default:
		return nil, fmt.Errorf("value of type %T", v)
	}
}

func timeLayout(oid uint32) string {
	switch oid {
	case pgtype.DateOID:
		return time.DateOnly
	case pgtype.TimestamptzOID:
		return "2006-01-02 15:04:05.999999-07"
	default:
		return "2006-01-02 15:04:05.999999"
	}
}

// encode writes a value in the format that the client asked for; nil is NULL.
func encode(types *pgtype.Map, t dataType, format int16, v driver.Value) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	text, err := encodeText(t, v)
	if err != nil || format == pgproto3.TextFormat {
		return text, err
	}
	known, ok := types.TypeForOID(t.oid)
	if !ok {
		return nil, unsupported("the binary format of type " + strconv.FormatUint(uint64(t.oid), 10))
	}
	value, err := known.Codec.DecodeValue(types, t.oid, pgproto3.TextFormat, text)
	if err != nil {
		return nil, &problem{"22P02", "a stored value is not of its column's type"}
	}
	return types.Encode(t.oid, pgproto3.BinaryFormat, value, []byte{})
}

// decode reads a parameter. What the client declared no type for and looks like
// a number is one: the engine compares numbers and texts by their types.
func decode(types *pgtype.Map, oid uint32, format int16, src []byte) (driver.Value, error) {
	if src == nil {
		return nil, nil
	}
	if oid == 0 {
		if format != pgproto3.TextFormat {
			return nil, unsupported("binary parameters of no declared type")
		}
		return number(string(src)), nil
	}
	known, ok := types.TypeForOID(oid)
	if !ok {
		return nil, unsupported("parameters of type " + strconv.FormatUint(uint64(oid), 10))
	}
	v, err := known.Codec.DecodeDatabaseSQLValue(types, oid, format, src)
	if err != nil {
		return nil, &problem{"22P02", "invalid input for parameter of type " + known.Name}
	}
	switch x := v.(type) {
	case time.Time:
		return x.Format(timeLayout(oid)), nil
	case string:
		if oid == pgtype.NumericOID {
			return number(x), nil
		}
	case []byte:
		return bytes.Clone(x), nil
	}
	return v, nil
}

// number returns the number that s is the usual spelling of, or s.
func number(s string) driver.Value {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return n
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && strconv.FormatFloat(f, 'f', -1, 64) == s {
		return f
	}
	return s
}
