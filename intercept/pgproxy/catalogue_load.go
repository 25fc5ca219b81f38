package pgproxy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The catalogue's queries are plain SQL on the system catalogues (manual,
// "System Catalogs"). 1259, 1255 and 2618 are the fixed OIDs of pg_class,
// pg_proc and pg_rewrite.
func catalogueQueries() []string {
	return []string{
		`SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c` +
			` JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')`,
		`SELECT a.attrelid, a.attnum, a.attname FROM pg_catalog.pg_attribute a` +
			` JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND c.relkind IN ('r', 'v', 'm', 'p', 'f')`,
		`SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits`,
		`SELECT DISTINCT r.ev_class, d.refclassid, d.refobjid FROM pg_catalog.pg_depend d` +
			` JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid WHERE d.classid = 2618 AND d.refclassid IN (1259, 1255) AND r.ev_type = '1'`,
		`SELECT current_user`,
		`SHOW search_path`,
	}
}

// table is the answer to one query: rows of texts.
type table [][]string

// buildCatalogue makes a catalogue of the answers to catalogueQueries.
func buildCatalogue(answers []table, now time.Time) (*catalogue, error) {
	if len(answers) != len(catalogueQueries()) {
		return nil, fmt.Errorf("pgproxy: catalogue: %d answers to %d queries", len(answers), len(catalogueQueries()))
	}
	c := &catalogue{loaded: now, byOID: map[uint32]*relation{}, byName: map[relationName]*relation{}}
	for i, add := range []func([]string) error{c.addRelation, c.addColumn, c.addInheritance, c.addDependency} {
		for _, row := range answers[i] {
			if err := add(row); err != nil {
				return nil, fmt.Errorf("pgproxy: catalogue: query %d: %w", i, err)
			}
		}
	}
	c.spreadFamilies()
	c.expandViews()
	user, path := firstText(answers[4]), firstText(answers[5])
	c.path = searchPath(path, user)
	return c, nil
}

func firstText(t table) string {
	if len(t) == 0 || len(t[0]) == 0 {
		return ""
	}
	return t[0][0]
}

func (c *catalogue) addRelation(row []string) error {
	oid, err := oids(row[:1])
	if err != nil || len(row) != 4 || len(row[3]) != 1 {
		return fmt.Errorf("relation %q: %w", row, err)
	}
	r := &relation{relationName: relationName{row[1], row[2]}, oid: oid[0], kind: row[3][0], columns: map[int16]string{}}
	c.byOID[r.oid], c.byName[r.relationName] = r, r
	return nil
}

func (c *catalogue) addColumn(row []string) error {
	ids, err := oids(row[:2])
	if err != nil || len(row) != 3 || ids[1] > 32767 {
		return fmt.Errorf("column %q: %w", row, err)
	}
	if r := c.byOID[ids[0]]; r != nil {
		r.columns[int16(ids[1])] = row[2]
	}
	return nil
}

func (c *catalogue) addInheritance(row []string) error {
	ids, err := oids(row)
	if err != nil || len(ids) != 2 {
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
	if err != nil || len(ids) != 3 {
		return fmt.Errorf("dependency %q: %w", row, err)
	}
	view := c.byOID[ids[0]]
	if view == nil {
		return nil
	}
	if ids[1] == 1255 {
		view.blind = true
		return nil
	}
	if source := c.byOID[ids[2]]; source != nil && source != view {
		view.reads = append(view.reads, source)
	}
	return nil
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

// searchPath parses the setting: a list of identifiers, quoted where needed.
func searchPath(setting, user string) []string {
	var path []string
	for rest := setting; rest != ""; {
		var name string
		rest = strings.TrimLeft(rest, ", ")
		if strings.HasPrefix(rest, `"`) {
			name, rest = quotedIdentifier(rest)
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			name, rest = strings.TrimSpace(rest[:end]), rest[end:]
		}
		switch name {
		case "", "pg_temp", "pg_catalog":
		case "$user":
			path = append(path, user)
		default:
			path = append(path, name)
		}
	}
	return path
}

func quotedIdentifier(s string) (name, rest string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), s[i+1:]
	}
	return b.String(), ""
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
