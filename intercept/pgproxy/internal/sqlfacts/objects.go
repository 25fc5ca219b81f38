package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// objectKind is the kind of an effect on an object of DDL: the words of the
// command tag in lower case. A type that has no word of its own reads from the
// grammar's name for it.
func objectKind(t pg.ObjectType) string {
	if kind, ok := irregularKinds()[t]; ok {
		return kind
	}
	name := strings.TrimPrefix(t.String(), "OBJECT_")
	return lower(strings.ReplaceAll(name, "_", " "))
}

func irregularKinds() map[pg.ObjectType]string {
	return map[pg.ObjectType]string{
		pg.ObjectType_OBJECT_MATVIEW:         "materialized view",
		pg.ObjectType_OBJECT_FDW:             "foreign data wrapper",
		pg.ObjectType_OBJECT_FOREIGN_SERVER:  "server",
		pg.ObjectType_OBJECT_OPCLASS:         "operator class",
		pg.ObjectType_OBJECT_OPFAMILY:        "operator family",
		pg.ObjectType_OBJECT_LARGEOBJECT:     "large object",
		pg.ObjectType_OBJECT_STATISTIC_EXT:   "statistics",
		pg.ObjectType_OBJECT_TSCONFIGURATION: "text search configuration",
		pg.ObjectType_OBJECT_TSDICTIONARY:    "text search dictionary",
		pg.ObjectType_OBJECT_TSPARSER:        "text search parser",
		pg.ObjectType_OBJECT_TSTEMPLATE:      "text search template",
		pg.ObjectType_OBJECT_TABCONSTRAINT:   "table",
		pg.ObjectType_OBJECT_DOMCONSTRAINT:   "domain",
		pg.ObjectType_OBJECT_COLUMN:          "table",
		pg.ObjectType_OBJECT_ATTRIBUTE:       "type",
		pg.ObjectType_OBJECT_PARAMETER_ACL:   "parameter",
	}
}

// objectTag is the object's part of a command tag.
func objectTag(t pg.ObjectType) string { return upper(objectKind(t)) }

// belongs reports that the last part of an object's name is its own, and the rest
// names the relation it belongs to.
func belongs(t pg.ObjectType) bool {
	switch t {
	case pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY,
		pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT:
		return true
	default:
		return false
	}
}
