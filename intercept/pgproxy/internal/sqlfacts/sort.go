package sqlfacts

import pg "github.com/pganalyze/pg_query_go/v6"

// references are the items of GROUP BY, ORDER BY or DISTINCT ON, which can be
// expressions, names of outputs, or their positions.
func (e expr) references(items []*pg.Node, targets []target, outputFirst bool) {
	for _, n := range items {
		if sort := n.GetSortBy(); sort != nil {
			e.operator(sort.GetUseOp())
			n = sort.GetNode()
		}
		if set := n.GetGroupingSet(); set != nil {
			e.references(set.GetContent(), targets, outputFirst)
			continue
		}
		e.reference(n, targets, outputFirst)
	}
}

func (e expr) reference(n *pg.Node, targets []target, outputFirst bool) {
	if list := n.GetRowExpr().GetArgs(); list != nil {
		e.references(list, targets, outputFirst)
		return
	}
	if e.position(n) {
		e.positional(int(n.GetAConst().GetIval().GetIval()), targets)
		return
	}
	matched := e.outputNamed(n, targets)
	if !matched || !outputFirst {
		e.node(n)
	}
}

// position reports whether n is a bare integer, and notes that it matters.
func (e expr) position(n *pg.Node) bool {
	if n.GetAConst().GetIval() == nil {
		return false
	}
	e.a.exactOnly = true
	return true
}

// positional takes the output at a place. From a star on it could be any.
func (e expr) positional(place int, targets []target) {
	if !e.a.spend(len(targets) / 16) {
		return
	}
	star := false
	for i, t := range targets {
		star = star || t.star
		if star || i == place-1 {
			e.a.filterAgain(t.log)
		}
	}
}

// outputNamed takes the outputs that n names, if it is a name alone. An output
// without an alias has the name of its column, which the name then finds as well.
func (e expr) outputNamed(n *pg.Node, targets []target) bool {
	fields := n.GetColumnRef().GetFields()
	if len(fields) != 1 || fields[0].GetString_() == nil || !e.a.spend(len(targets)/16) {
		return false
	}
	name, found := fields[0].GetString_().GetSval(), false
	for _, t := range targets {
		if t.name == name {
			e.a.filterAgain(t.log)
			found = true
		}
	}
	return found
}
