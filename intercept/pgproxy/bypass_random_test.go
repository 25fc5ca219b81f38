package pgproxy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A composer writes queries at random that wrap columns of people in all that
// lineage follows.
type composer struct {
	r     *rand.Rand
	depth int
	names int
}

// A relationOf is a FROM item with the names of its text columns.
type relationOf struct {
	sql     string
	columns []string
}

func (c *composer) one(choices ...string) string { return choices[c.r.IntN(len(choices))] }

func (c *composer) name(prefix string) string {
	c.names++
	return fmt.Sprintf("%s%d", prefix, c.names)
}

// source is something to select from under an alias of its own.
func (c *composer) source() relationOf {
	alias := c.name("s")
	of := func(sql string, columns ...string) relationOf {
		for i := range columns {
			columns[i] = alias + "." + columns[i]
		}
		return relationOf{sql + " " + alias, columns}
	}
	if c.depth <= 0 || c.r.IntN(3) == 0 {
		return c.relation(of)
	}
	c.depth--
	defer func() { c.depth++ }()
	query, columns := c.query()
	switch c.r.IntN(4) {
	case 0:
		renamed := make([]string, len(columns))
		for i := range renamed {
			renamed[i] = c.name("r")
		}
		list := strings.Join(renamed, ", ")
		item := of("("+query+")", renamed...)
		item.sql += "(" + list + ")"
		return item
	case 1:
		return of("(SELECT * FROM ("+query+") "+c.name("t")+")", columns...)
	case 2:
		inner := c.name("w")
		return of("(WITH "+inner+" AS ("+query+") SELECT * FROM "+inner+")", columns...)
	default:
		return of("("+query+")", columns...)
	}
}

func (c *composer) relation(of func(string, ...string) relationOf) relationOf {
	switch c.r.IntN(7) {
	case 0:
		return of("orders", "item", "item")
	case 1:
		return of("v_plain", "name", "contact")
	case 2:
		return of("v_swapped", "name", "email")
	case 3:
		return of("v_union", "said", "said")
	case 4:
		return of("v_lateral", "x", "y")
	case 5:
		return of("(SELECT * FROM people)", "name", "email", "card")
	default:
		return of("people", "name", "email", "card", "ssn")
	}
}

// value is a text computed from columns.
func (c *composer) value(columns []string, depth int) string {
	if depth <= 0 || c.r.IntN(4) == 0 {
		return c.one(columns...)
	}
	a := c.value(columns, depth-1)
	switch c.r.IntN(11) {
	case 0:
		return "upper(" + a + ")"
	case 1:
		return a + " || " + c.value(columns, depth-1)
	case 2:
		return "coalesce(" + c.value(columns, depth-1) + ", " + a + ")"
	case 3:
		return "CASE WHEN length(" + c.value(columns, depth-1) + ") > 3 THEN " + a + " ELSE 'short' END"
	case 4:
		return "(SELECT " + a + ")"
	case 5:
		return "(ARRAY[" + a + ", " + c.value(columns, depth-1) + "])[" + c.one("1", "2") + "]"
	case 6:
		return "(json_build_object('k', " + a + ")->>'k')"
	case 7:
		return "left(" + a + ", 30)"
	case 8:
		return "(row(" + a + ", 1)::text)"
	case 9:
		return "'k'"
	default:
		return "reverse(" + a + ")"
	}
}

// query returns a query with two or three text columns, and their names.
func (c *composer) query() (sql string, columns []string) {
	sql, columns = c.selection(c.r.IntN(2) + 2)
	for c.depth > 0 && c.r.IntN(4) == 0 {
		c.depth--
		other, _ := c.selection(len(columns))
		c.depth++
		sql = "(" + sql + ") " + c.one("UNION ALL", "UNION", "EXCEPT", "INTERSECT") + " (" + other + ")"
	}
	return sql, columns
}

func (c *composer) selection(width int) (sql string, names []string) {
	from := c.source()
	columns := from.columns
	for c.r.IntN(3) == 0 {
		next := c.source()
		columns = append(append([]string(nil), columns...), next.columns...)
		from.sql += c.one(" CROSS JOIN ", ", LATERAL (SELECT 1) one"+c.name("")+", ", " JOIN ") + next.sql
		if i := strings.LastIndex(from.sql, " JOIN "+next.sql); i >= 0 && !strings.HasSuffix(from.sql[:i], "CROSS") {
			from.sql += " ON true"
		}
	}
	items := make([]string, width)
	for i := range items {
		name := c.name("c")
		items[i] = "(" + c.value(columns, 2) + ")::text AS " + name
		if c.r.IntN(3) == 0 {
			items[i] = c.one(columns...) + " AS " + name
		}
		names = append(names, name)
	}
	sql = "SELECT " + strings.Join(items, ", ") + " FROM " + from.sql
	if c.r.IntN(3) == 0 {
		sql += " WHERE length(" + c.one(columns...) + ") > 1"
	}
	if c.r.IntN(4) == 0 {
		sql += " ORDER BY " + c.one("1", "2", "1, 2") + " LIMIT 4"
	}
	return sql, names
}

// Whatever is composed, no masked value comes out; and names do, or everything
// would be masked.
func TestBypassAtRandom(t *testing.T) {
	r := newBypassRig(t, maskedColumns(), originSchema)
	conn, wire := r.connectWatched(t)
	const queries = 400
	shown, failed := 0, 0
	for seed := range uint64(queries) {
		c := &composer{r: rand.New(rand.NewPCG(seed, 1)), depth: 3}
		sql, _ := c.query()
		rows, err := modes()[seed%3].run(context.Background(), conn, "SELECT * FROM ("+sql+") q LIMIT 50")
		if found := wire.leaks(); len(found) > 0 {
			t.Errorf("seed %d: %q leaked by %s: %q", seed, found, sql, rows)
		}
		if err != nil {
			failed++
			t.Logf("seed %d: %s: %v", seed, sql, err)
		}
		if strings.Contains(strings.ToLower(joined(rows)), "ada") {
			shown++
		}
		wire.forget()
	}
	t.Logf("%d of %d failed, %d showed a name", failed, queries, shown)
	if failed > queries/10 || shown < queries/10 {
		t.Errorf("%d of %d queries failed, %d showed a name", failed, queries, shown)
	}
}
