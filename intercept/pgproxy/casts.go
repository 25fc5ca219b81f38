package pgproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// A codeCast is a cast by a function of a user's that may do more than compute from
// the value. The server calls it without its name being in the text.
type codeCast struct {
	oid     uint32
	context byte   // pg_cast.castcontext
	code    string // the function's name
	// fromAny says that it is from a built-in type, of which values can come from
	// anywhere. Otherwise sources are the types that hold a value which can be cast, and
	// holders the relations whose rows do.
	fromAny bool
	sources []typeName
	holders map[uint32]bool
	// targets are the type that it leads to, and the arrays and domains over it.
	targets []typeName
}

type typeName struct{ schema, name string }

// addCasts notes the functions of users that the server may call to convert a value.
func (t *traced) addCasts(c *catalogue) {
	for _, k := range c.casts {
		if k.mayRun(c, t) {
			t.addUnseen(k.code)
		}
	}
}

// mayRun reports whether a statement may call the cast. Where the source is built in
// it must ask for it by the target's name.
func (k *codeCast) mayRun(c *catalogue, t *traced) bool {
	if !k.fromAny && !k.reached(c, t) {
		return false
	}
	unasked := k.context == 'i' || k.context == 'a' && t.writes()
	return unasked && !k.fromAny || c.castsTo(t.statement, k.targets)
}

// reached reports whether a statement has values that can be cast.
func (k *codeCast) reached(c *catalogue, t *traced) bool {
	return slices.ContainsFunc(t.touches, func(r *relation) bool { return k.holders[r.oid] }) || c.castsTo(t.statement, k.sources)
}

// castsTo reports whether a statement names one of the types.
func (c *catalogue) castsTo(s *sqlfacts.Statement, types []typeName) bool {
	return slices.ContainsFunc(s.Casts, func(named sqlfacts.TypeName) bool {
		return slices.ContainsFunc(types, func(of typeName) bool { return c.meansType(named, of) })
	})
}

// meansType reports whether a name can mean a type. Temporary types come first in the
// server's search.
func (c *catalogue) meansType(named sqlfacts.TypeName, of typeName) bool {
	temporary := strings.HasPrefix(of.schema, "pg_temp_")
	switch {
	case named.Name != of.name:
		return false
	case named.Schema != "":
		return named.Schema == of.schema || temporary && named.Schema == "pg_temp"
	case temporary:
		return true
	case named.BuiltIn && of.schema != "pg_catalog" && !c.exposed:
		return false
	default:
		return slices.Contains(c.schemasInOrder, of.schema)
	}
}

// addCast notes a type on one side of a cast.
func (c *catalogue) addCast(row []string) error {
	ids, err := oids([]string{row[0], row[6]})
	if err != nil || len(row[1]) != 1 {
		return fmt.Errorf("cast %q: %w", row, err)
	}
	n := len(c.casts)
	if n == 0 || c.casts[n-1].oid != ids[0] {
		c.casts = append(c.casts, &codeCast{oid: ids[0], context: row[1][0], fromAny: row[2] == "t", code: row[7], holders: map[uint32]bool{}})
		n++
	}
	k, name := c.casts[n-1], typeName{row[4], row[5]}
	if row[3] == "target" {
		k.targets = append(k.targets, name)
		return nil
	}
	k.sources = append(k.sources, name)
	k.holders[ids[1]] = ids[1] != 0
	return nil
}

// ownCasts are the casts from or to types of users by functions that may do more than
// compute, with the types on either side: arrays, domains, ranges and composites that hold a
// source, rows of relations among them, and arrays and domains over a target.
const ownCasts = `WITH RECURSIVE own (id, source, target, context, code) AS (` +
	`SELECT k.oid, k.castsource, k.casttarget, k.castcontext, f.nspname || '.' || p.proname FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc` +
	` JOIN pg_catalog.pg_namespace f ON f.oid = p.pronamespace` +
	` WHERE k.oid >= 16384 AND (k.castsource >= 16384 OR k.casttarget >= 16384) AND p.provolatile <> 'i' AND NOT ` + ofExtension + `)` +
	`, targets (id, held) AS (SELECT id, target FROM own UNION SELECT h.id, t.oid FROM targets h JOIN pg_catalog.pg_type t` +
	` ON t.typbasetype = h.held OR t.typelem = h.held AND t.typinput::oid = 750)` +
	`, sources (id, held) AS (SELECT id, source FROM own WHERE source >= 16384 UNION SELECT h.id, t.oid FROM sources h JOIN pg_catalog.pg_type t` +
	` ON t.typbasetype = h.held OR t.typelem = h.held AND t.typinput::oid = 750` +
	` OR t.oid IN (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngsubtype = h.held)` +
	` OR t.typrelid IN (SELECT a.attrelid FROM pg_catalog.pg_attribute a WHERE a.atttypid = h.held AND a.attnum > 0))` +
	` SELECT o.id, o.context, o.source < 16384, e.side, n.nspname, t.typname, t.typrelid, o.code FROM own o` +
	` JOIN (SELECT id, held, 'target' AS side FROM targets UNION ALL SELECT id, held, 'source' FROM sources) e ON e.id = o.id` +
	` JOIN pg_catalog.pg_type t ON t.oid = e.held JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace ORDER BY o.id`
