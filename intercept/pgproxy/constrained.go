package pgproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
	"github.com/headgate/gateway/policy"
)

// Constraints that are not a table's own hold its rows against a condition, too:
// those of a domain, and the bounds of a partition. Whether they satisfy it tells of
// their values, as a filter does.

// addConstrained notes the columns that a change of a domain or of partitions looks
// at.
func (t *traced) addConstrained(c *catalogue) {
	if name := t.statement.Domain; name.Name != "" {
		for _, of := range c.domainNamed(name) {
			t.addChecked(of.relation, of.filtered)
		}
	}
	if tables := t.statement.Bounded; len(tables) > 0 {
		key := []string{"*"}
		if parent := c.lookup(tables[0].Schema, tables[0].Name); parent != nil && len(parent.partitionKey) > 0 {
			key = parent.partitionKey
		}
		for _, name := range tables {
			t.addChecked(c.lookup(name.Schema, name.Name), key)
		}
	}
}

// addChecked notes a relation whose rows are looked at.
func (t *traced) addChecked(rel *relation, columns []string) {
	t.addFilters(rel, columns)
	if rel == nil {
		return
	}
	t.touches = append(t.touches, rel)
	t.effects = append(t.effects, policy.Effect{
		Verb: policy.VerbRead, Kind: "table", Name: joinName(rel.schema, rel.name), Filtered: columns,
	})
}

// domainNamed returns the columns that hold values of a domain, found as the server
// would.
func (c *catalogue) domainNamed(name sqlfacts.Relation) []reading {
	if name.Schema != "" {
		return c.domains[relationName{name.Schema, name.Name}]
	}
	for _, schema := range c.schemasInOrder {
		if of := c.domains[relationName{schema, name.Name}]; of != nil {
			return of
		}
	}
	return nil
}

func (c *catalogue) addPartitionKey(row []string) error {
	ids, err := oids(append([]string{row[0]}, strings.Fields(row[1])...))
	if err != nil {
		return fmt.Errorf("partition key %q: %w", row, err)
	}
	rel := c.byOID[ids[0]]
	if rel == nil {
		return nil
	}
	for _, n := range ids[1:] {
		if n > 32767 {
			return fmt.Errorf("%w: partition key %q", errMalformed, row)
		}
		column, ok := rel.columns[int16(n)]
		if !ok {
			column = "*" // an expression
		}
		rel.partitionKey = append(rel.partitionKey, column)
	}
	return nil
}

func (c *catalogue) addDomainColumn(row []string) error {
	ids, err := oids(row[2:])
	if err != nil || ids[1] > 32767 {
		return fmt.Errorf("column of a domain %q: %w", row, err)
	}
	rel := c.byOID[ids[0]]
	if rel == nil {
		return nil // of a composite type
	}
	column, ok := rel.columns[int16(ids[1])]
	if !ok {
		return nil
	}
	if c.domains == nil {
		c.domains = map[relationName][]reading{}
	}
	name := relationName{row[0], row[1]}
	for i, of := range c.domains[name] {
		if of.relation == rel {
			if !slices.Contains(of.filtered, column) {
				c.domains[name][i].filtered = append(of.filtered, column)
			}
			return nil
		}
	}
	c.domains[name] = append(c.domains[name], reading{relation: rel, filtered: []string{column}})
	return nil
}
