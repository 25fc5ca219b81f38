package embeddedpg

import (
	"database/sql/driver"
	"math"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"modernc.org/sqlite"
)

// A function can be called from SQL.
type function struct {
	arguments int32
	call      func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error)
}

// constant is a function without arguments.
func constant(value func() driver.Value) function {
	return function{0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) { return value(), nil }}
}

func fixed(v driver.Value) function { return constant(func() driver.Value { return v }) }

// functions are PostgreSQL's functions that SQLite lacks and that drivers, psql
// and everyday statements call.
func (s *session) functions() map[string]function {
	now := constant(func() driver.Value { return time.Now().UTC().Format(timeLayout(0)) + "+00" })
	user := fixed(s.server.cfg.User)
	return map[string]function{
		"version":           fixed("PostgreSQL " + serverVersion + " (embedded, on SQLite)"),
		"current_schema":    fixed("public"),
		"current_database":  fixed(s.server.cfg.Database),
		"current_catalog":   fixed(s.server.cfg.Database),
		"current_user":      user,
		"session_user":      user,
		"current_role":      user,
		"user":              user,
		"pg_backend_pid":    fixed(int64(s.id)),
		"pg_is_in_recovery": fixed(int64(0)),
		"pg_get_viewdef":    {1, noView},
		"now":               now,
		"clock_timestamp":   now,
		"current_setting":   {1, s.currentSetting},
		"set_config":        {3, s.setConfig},
		"format_type":       {2, s.formatType},
		"unnest":            {1, noArrays},
		// there is one user, who may use every schema
		"has_schema_privilege": {2, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) { return true, nil }},
		"regexp":               {2, match},
	}
}

// noView is the definition of a view: there are none.
func noView(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
	return nil, nil //nolint:nilnil // NULL
}

// formatType is a type's name as the SQL standard has it, where it has another than
// the catalogue.
func (s *session) formatType(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	oid, _ := args[0].(int64)
	if oid < 0 || oid > math.MaxUint32 {
		return "???", nil
	}
	t, ok := s.types.TypeForOID(uint32(oid))
	if !ok {
		return "???", nil
	}
	switch t.OID {
	case pgtype.BoolOID:
		return "boolean", nil
	case pgtype.Int2OID:
		return "smallint", nil
	case pgtype.Int4OID:
		return "integer", nil
	case pgtype.Int8OID:
		return "bigint", nil
	case pgtype.Float4OID:
		return "real", nil
	case pgtype.Float8OID:
		return "double precision", nil
	case pgtype.BPCharOID:
		return "character", nil
	case pgtype.VarcharOID:
		return "character varying", nil
	case pgtype.TimestampOID:
		return "timestamp without time zone", nil
	case pgtype.TimestamptzOID:
		return "timestamp with time zone", nil
	default:
		return t.Name, nil
	}
}

// noArrays stands for functions of arrays, of which there are none.
func noArrays(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
	return nil, unsupported("arrays")
}

// match is what the operator ~ calls. Patterns are Go's, which agree with
// PostgreSQL's in everyday ones and run in linear time.
func match(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	pattern, ok := args[0].(string)
	text, isText := args[1].(string)
	if !ok || !isText {
		return nil, nil //nolint:nilnil // NULL
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, &problem{"2201B", "invalid regular expression: " + err.Error()}
	}
	return re.MatchString(text), nil
}

func (s *session) currentSetting(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	name, _ := args[0].(string)
	return s.settings.get(name)
}

func (s *session) setConfig(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	name, _ := args[0].(string)
	value, ok := args[1].(string)
	if !ok {
		return nil, &problem{"22023", "a setting's value is a text"}
	}
	if local, _ := args[2].(int64); local != 0 && foldCase(name) == searchPath {
		s.settings.setLocalPath(value)
		return value, nil
	}
	return value, s.settings.set(name, value)
}
