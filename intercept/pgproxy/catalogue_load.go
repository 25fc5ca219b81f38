package pgproxy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The catalogue's queries are plain SQL on the system catalogues (manual,
// "System Catalogs"). 1255, 1259, 2604, 2617 and 2618 are the fixed OIDs of
// pg_proc, pg_class, pg_attrdef, pg_operator and pg_rewrite. OIDs from 16384 on
// are of objects that were made after the database was.
func catalogueQueries() []string {
	return []string{
		`SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c` +
			` JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')`,
		`SELECT a.attrelid, a.attnum, a.attname FROM pg_catalog.pg_attribute a` +
			` JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')`,
		`SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits`,
		`SELECT DISTINCT r.ev_class, d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid` +
			` WHERE d.classid = 2618 AND d.refclassid = 1259 AND r.ev_type = '1'`,
		blindViews,
		`SELECT DISTINCT ev_class FROM pg_catalog.pg_rewrite WHERE ev_type <> '1'`,
		`SELECT ad.adrelid, ad.adnum, d.refobjsubid FROM pg_catalog.pg_attrdef ad` +
			` JOIN pg_catalog.pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum` +
			` JOIN pg_catalog.pg_depend d ON d.classid = 2604 AND d.objid = ad.oid` +
			` OR d.classid = 1259 AND d.objid = ad.adrelid AND d.objsubid = ad.adnum` +
			` WHERE a.attgenerated <> '' AND d.refclassid = 1259 AND d.refobjid = ad.adrelid AND d.refobjsubid NOT IN (0, ad.adnum)`,
		ownFunctions, ownOperators,
		`SELECT current_user`,
		`SHOW search_path`,
	}
}

// blindViews are the views that read through code: functions and operators that
// users made, but for those of extensions, which compute from their arguments
// unless they are known to run SQL; and built-in functions and tables that the
// server does not note a dependency on.
//
// With each comes the name of the function if it may do more than read.
const blindViews = `SELECT r.ev_class, CASE WHEN p.provolatile = 'v' THEN n.nspname || '.' || p.proname ELSE '' END FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.classid = 2618 AND d.objid = r.oid` +
	` LEFT JOIN pg_catalog.pg_operator o ON d.refclassid = 2617 AND o.oid = d.refobjid` +
	` JOIN pg_catalog.pg_proc p ON p.oid = CASE d.refclassid WHEN 1255 THEN d.refobjid ELSE o.oprcode::oid END` +
	` JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace` +
	` WHERE r.ev_type = '1' AND d.refclassid IN (1255, 2617) AND p.oid >= 16384 AND (p.proname ~ '` + runsSQLNames + `' OR NOT ` + ofExtension + `)` +
	` UNION SELECT r.ev_class, '' FROM pg_catalog.pg_rewrite r WHERE r.ev_type = '1' AND r.ev_class >= 16384 AND r.ev_action::text ~ (` +
	`SELECT ':(relid (2613|2619|3429)|funcid (0' || coalesce(string_agg('|' || p.oid, ''), '') || ')) ' FROM pg_catalog.pg_proc p` +
	` WHERE p.oid < 16384 AND p.proname ~ '` + readsOutsideNames + `')`

// ofExtension says that the function p belongs to an extension.
const ofExtension = `EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 1255 AND e.objid = p.oid AND e.deptype = 'e')`

// runsSQLNames match functions of extensions that run SQL text, readsOutsideNames
// the built-in functions that do, or that read files, large objects and the log.
const (
	runsSQLNames      = `^(dblink|crosstab|connectby|xpath_table|pg_background_|cron_)`
	readsOutsideNames = `_to_xml|^(ts_stat|lo_get|loread|lo_open|pg_read_|pg_logical_slot_|pg_stat_get_activity|pg_stat_get_backend_activity)`
)

// ownFunctions are the functions that users made, with their volatility and
// whether they have the name of a built-in one. ownOperators are the operators
// whose functions are.
const (
	ownFunctions = `SELECT n.nspname, p.proname, p.provolatile, EXISTS (SELECT FROM pg_catalog.pg_proc b WHERE b.proname = p.proname AND b.oid < 16384)` +
		` FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384 AND NOT ` + ofExtension
	ownOperators = `SELECT DISTINCT o.oprname FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode` +
		` WHERE p.oid >= 16384 AND p.provolatile <> 'i' AND NOT ` + ofExtension
)

// table is the answer to one query: rows of texts.
type table [][]string

// buildCatalogue makes a catalogue of the answers to catalogueQueries.
func buildCatalogue(answers []table, now time.Time) (*catalogue, error) {
	if len(answers) != len(catalogueQueries()) {
		return nil, fmt.Errorf("pgproxy: catalogue: %d answers to %d queries", len(answers), len(catalogueQueries()))
	}
	c := &catalogue{
		loaded: now, byOID: map[uint32]*relation{}, byName: map[relationName]*relation{},
		functions: map[string]function{}, operators: map[string]bool{},
	}
	adders := []func([]string) error{
		c.addRelation, c.addColumn, c.addInheritance, c.addDependency, c.addBlind, c.addRewritten, c.addGenerated,
		c.addFunction, c.addOperator,
	}
	for i, add := range adders {
		for _, row := range answers[i] {
			if err := add(row); err != nil {
				return nil, fmt.Errorf("pgproxy: catalogue: query %d: %w", i, err)
			}
		}
	}
	c.spreadFamilies()
	c.expandViews()
	user, path := firstText(answers[len(adders)]), firstText(answers[len(adders)+1])
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
	if err != nil || len(ids) != 2 {
		return fmt.Errorf("dependency %q: %w", row, err)
	}
	view, source := c.byOID[ids[0]], c.byOID[ids[1]]
	if view != nil && source != nil && source != view {
		view.reads = append(view.reads, source)
	}
	return nil
}

func (c *catalogue) addBlind(row []string) error {
	if len(row) != 2 {
		return fmt.Errorf("view %q", row)
	}
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
	if err != nil || len(ids) != 1 {
		return fmt.Errorf("relation %q: %w", row, err)
	}
	if r := c.byOID[ids[0]]; r != nil {
		r.rewritten = true
	}
	return nil
}

func (c *catalogue) addGenerated(row []string) error {
	ids, err := oids(row)
	if err != nil || len(ids) != 3 {
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
	if len(row) != 4 {
		return fmt.Errorf("function %q", row)
	}
	for _, name := range []string{strings.ToLower(row[1]), strings.ToLower(row[0] + "." + row[1])} {
		f := c.functions[name]
		f.volatile = f.volatile || row[2] == "v"
		f.shadows = f.shadows || row[3] == "t" && row[2] != "i"
		c.functions[name] = f
	}
	return nil
}

func (c *catalogue) addOperator(row []string) error {
	if len(row) != 1 {
		return fmt.Errorf("operator %q", row)
	}
	c.operators[row[0]] = true
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
