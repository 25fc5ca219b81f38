package pgproxy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// table is the answer to one query: rows of texts.
type table [][]string

// buildCatalogue makes a catalogue of the answers to catalogueQueries, which a new
// session was given.
func buildCatalogue(answers []table, now time.Time, analyze analyzeFunc) (*catalogue, error) {
	if len(answers) != len(catalogueQueries()) {
		return nil, fmt.Errorf("pgproxy: catalogue: %d answers to %d queries", len(answers), len(catalogueQueries()))
	}
	c := &catalogue{contents: &contents{
		loaded: now, byOID: map[uint32]*relation{}, byName: map[relationName]*relation{},
		functions: map[string]function{}, operators: map[string]bool{}, builtins: map[string]byte{}, procedures: map[uint32]*procedure{}, typeNames: map[string]string{}, analyze: analyze,
		schemas: map[string]bool{},
	}}
	for i, a := range c.adders() {
		for _, row := range answers[i+1] {
			err := fmt.Errorf("%w: %d columns", errMalformed, len(row))
			if len(row) == a.columns {
				err = a.add(row)
			}
			if err != nil {
				return nil, fmt.Errorf("pgproxy: catalogue: query %d: %w", i, err)
			}
		}
	}
	c.types.settle()
	c.spreadFamilies()
	c.dropCycles()
	c.expandViews()
	c.start, c.startKnown = firstText(answers[0]), true
	c.lookupPath = c.pathOf(neutralPath)
	return c, nil
}

// An adder takes the rows of one query, which have so many columns.
type adder struct {
	columns int
	add     func(row []string) error
}

// adders are in the order of catalogueQueries, but for the first.
func (c *catalogue) adders() []adder {
	return []adder{
		{4, c.addRelation}, {3, c.addColumn}, {2, c.addInheritance}, {2, c.addDependency}, {2, c.addBlind},
		{1, c.addRewritten}, {3, c.addGenerated}, {9, c.addFunction}, {2, c.addOperator},
		{2, c.addDefinition}, {6, c.addBuiltin}, {2, c.addTypeName},
		{3, c.addFieldType}, {8, c.addType}, {2, c.addPartitionKey}, {4, c.addDomainColumn},
		{8, c.addCast}, {1, c.addSchema}, {2, c.addUser},
	}
}

func (c *catalogue) addSchema(row []string) error {
	c.schemas[row[0]] = true
	return nil
}

func (c *catalogue) addUser(row []string) error {
	c.user, c.origin = row[0], row[1]
	return nil
}

// startAs notes what new sessions begin with where c was loaded by a session that is
// not new: what they did before, unless that comes from elsewhere now.
func (c *catalogue) startAs(before *catalogue) {
	c.start, c.startKnown = "", false
	if before != nil && before.origin == c.origin {
		c.start, c.startKnown = before.start, before.startKnown
	}
}

func firstText(t table) string {
	if len(t) == 0 || len(t[0]) == 0 {
		return ""
	}
	return t[0][0]
}

func (c *catalogue) addRelation(row []string) error {
	oid, err := oids(row[:1])
	if err != nil || len(row[3]) != 1 {
		return fmt.Errorf("relation %q: %w", row, err)
	}
	r := &relation{relationName: relationName{row[1], row[2]}, oid: oid[0], kind: row[3][0], columns: map[int16]string{}}
	c.byOID[r.oid], c.byName[r.relationName] = r, r
	c.hidesSettings = c.hidesSettings || r.name == "pg_settings" && r.schema != "pg_catalog"
	return nil
}

func (c *catalogue) addColumn(row []string) error {
	ids, err := oids(row[:2])
	if err != nil || ids[1] > 32767 {
		return fmt.Errorf("column %q: %w", row, err)
	}
	if r := c.byOID[ids[0]]; r != nil {
		r.columns[int16(ids[1])] = row[2]
	}
	return nil
}

func (c *catalogue) addInheritance(row []string) error {
	ids, err := oids(row)
	if err != nil {
		return fmt.Errorf("inheritance %q: %w", row, err)
	}
	child, parent := c.byOID[ids[0]], c.byOID[ids[1]]
	if child != nil && parent != nil {
		child.family = append(child.family, parent)
		parent.family = append(parent.family, child)
	}
	return nil
}

func (c *catalogue) addDependency(row []string) error {
	ids, err := oids(row)
	if err != nil {
		return fmt.Errorf("dependency %q: %w", row, err)
	}
	view, source := c.byOID[ids[0]], c.byOID[ids[1]]
	if view != nil && source != nil && source != view {
		view.reads = append(view.reads, source)
	}
	return nil
}

func (c *catalogue) addBlind(row []string) error {
	ids, err := oids(row[:1])
	if err != nil {
		return fmt.Errorf("view %q: %w", row, err)
	}
	r := c.byOID[ids[0]]
	if r == nil {
		return nil
	}
	r.blind = true
	if row[1] != "" {
		r.runs = append(r.runs, row[1])
	}
	return nil
}

func (c *catalogue) addRewritten(row []string) error {
	ids, err := oids(row)
	if err != nil {
		return fmt.Errorf("relation %q: %w", row, err)
	}
	if r := c.byOID[ids[0]]; r != nil {
		r.rewritten = true
	}
	return nil
}

func (c *catalogue) addGenerated(row []string) error {
	ids, err := oids(row)
	if err != nil {
		return fmt.Errorf("generated column %q: %w", row, err)
	}
	r := c.byOID[ids[0]]
	if r == nil {
		return nil
	}
	if r.generated == nil {
		r.generated = map[string][]string{}
	}
	column := r.columns[int16(ids[1])]
	r.generated[column] = append(r.generated[column], r.columns[int16(ids[2])])
	return nil
}

func (c *catalogue) addFunction(row []string) error {
	for _, name := range []string{strings.ToLower(row[1]), strings.ToLower(row[0] + "." + row[1])} {
		f := c.functions[name]
		if own := row[4] == "f"; own {
			f.volatile = f.volatile || row[2] == "v"
			f.shadows = f.shadows || row[3] == "t" && row[2] != "i"
		}
		f.own = true
		f.volatility = max(f.volatility, volatilityOf(row[2]))
		f.definer = f.definer || row[5] == "t"
		c.functions[name] = f
	}
	return c.addProcedure(row[6], row[0], row[1], row[7], row[8])
}

func (c *catalogue) addOperator(row []string) error {
	c.operators[row[0]] = row[1] != "t"
	return nil
}

func (c *catalogue) addDefinition(row []string) error {
	ids, err := oids(row[:1])
	if err != nil {
		return fmt.Errorf("view %q: %w", row, err)
	}
	if r := c.byOID[ids[0]]; r != nil && row[1] != "" {
		r.view = &view{catalogue: c, relation: r, definition: row[1]}
	}
	return nil
}

func (c *catalogue) addBuiltin(row []string) error {
	name := strings.ToLower(row[0])
	c.builtins[name] = max(c.builtins[name], volatilityOf(row[1]))
	return c.addProcedure(row[2], row[3], row[0], row[4], row[5])
}

// dropCycles forgets the definitions of views that read each other in a circle,
// as rules can make them do.
func (c *catalogue) dropCycles() {
	const open, closed = 1, 2
	state := map[*relation]int{}
	var visit func(r *relation)
	visit = func(r *relation) {
		state[r] = open
		for _, s := range r.reads {
			switch state[s] {
			case open:
				r.view, s.view = nil, nil
			case 0:
				visit(s)
			}
		}
		state[r] = closed
	}
	for _, r := range c.byOID {
		if state[r] == 0 {
			visit(r)
		}
	}
}

// spreadFamilies makes family the whole tree of each table, not its neighbours
// only.
func (c *catalogue) spreadFamilies() {
	seen := map[*relation]bool{}
	for _, r := range c.byOID {
		if len(r.family) == 0 || seen[r] {
			continue
		}
		tree := []*relation{r}
		seen[r] = true
		for i := 0; i < len(tree); i++ {
			for _, next := range tree[i].family {
				if !seen[next] {
					seen[next] = true
					tree = append(tree, next)
				}
			}
		}
		for _, member := range tree {
			member.family = tree
		}
	}
}

// expandViews replaces what views read of other views by what those read.
func (c *catalogue) expandViews() {
	done := map[*relation]bool{}
	var expand func(r *relation)
	expand = func(r *relation) {
		if done[r] {
			return
		}
		done[r] = true
		var all []*relation
		known := map[*relation]bool{r: true}
		add := func(s *relation) {
			if !known[s] {
				known[s] = true
				all = append(all, s)
			}
		}
		for _, s := range r.reads {
			add(s)
			if !s.isView() {
				continue
			}
			expand(s)
			r.blind = r.blind || s.blind
			r.runs = append(r.runs, s.runs...)
			for _, deeper := range s.reads {
				add(deeper)
			}
		}
		r.reads = all
	}
	for _, r := range c.byOID {
		expand(r)
	}
}

func oids(row []string) ([]uint32, error) {
	out := make([]uint32, len(row))
	for i, text := range row {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, err
		}
		out[i] = uint32(n)
	}
	return out, nil
}
