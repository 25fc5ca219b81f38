package mask

import "fmt"

// A Column describes one column of a result. The zero Column is untraceable and
// is masked whole.
type Column struct {
	// Sources are all the columns that the values may come from.
	Sources []Source
	// Traced says that Sources is complete. A traced column without sources is a
	// constant and passes. The values of any other column are redacted if there is
	// any rule at all.
	Traced bool
	// Derived says that values may be computed from the sources rather than taken
	// from them as they are. The part that a method leaves readable, and equality
	// of pseudonyms, could then be steered by the query to tell the whole value,
	// so every method but "null" becomes "redact". The query could also say it by
	// the lengths of arrays and by which values are NULL: NULLs get the constant too,
	// arrays become empty, and composites NULL. The same goes for columns that are
	// not Traced.
	Derived bool
	// Type is the column's type; see TypeOID.
	Type Type
	// Format is the encoding of the column's values.
	Format Format
}

// A Plan says what happens to each column of one result shape. It is immutable and
// safe for concurrent use. A nil or zero Plan refuses every row that has columns.
type Plan struct {
	ops              []op
	masked, searched int // how many columns are
}

// An op is what happens to one column; with a nil method, nothing does.
type op struct {
	action
	typ    Type
	format Format
	// find is what is looked for in values that no method masks, nil for nothing.
	find *detection
	// flat says that a value is nothing but one text, in which find looks for nothing
	// but the built-in kinds.
	flat bool
	// hit is set when something is found.
	hit *bool
	// whole says that nothing of a value may show, not even its structure or whether
	// it is NULL, because a query may have computed it.
	whole bool
	// fields are what happens to the fields of a composite.
	fields []op
}

// passes reports whether values go through whatever they are.
func (o *op) passes() bool { return o.method == nil && o.find == nil }

// Compile makes a plan. A column is masked if a rule matches any of its sources,
// by the strictest method of all that match.
func Compile(rules *Rules, columns []Column) (*Plan, error) {
	if rules == nil {
		return nil, ErrNoRules
	}
	p := &Plan{ops: make([]op, len(columns))}
	for i := range columns {
		c := &columns[i]
		if c.Format > Binary {
			return nil, fmt.Errorf("%w: column %d: unknown format", ErrMalformed, i)
		}
		p.ops[i] = newOp(rules.action(c), c)
		switch o := &p.ops[i]; {
		case o.method != nil:
			p.masked++
		default:
			if o.find = rules.detection(c); o.find != nil {
				p.searched++
				o.flat = o.isFlat() && !o.find.asksHost()
			}
		}
	}
	return p, nil
}

func newOp(a action, c *Column) op {
	o := op{action: a, typ: c.Type, format: c.Format}
	o.whole = a.method != nil && (!c.Traced || c.Derived)
	if !o.whole && a.method != nil && a.name != MethodNull && c.Type.Kind == KindComposite {
		o.fields = make([]op, len(c.Type.Shape.Fields))
		for i, typ := range c.Type.Shape.Fields {
			field := *c
			field.Type = typ
			o.fields[i] = newOp(a, &field)
		}
	}
	return o
}

// action returns what has to happen to the values of c.
func (r *Rules) action(c *Column) action {
	var a action
	if !c.Traced && len(r.rules) > 0 {
		a = r.redact
	}
	for _, src := range c.Sources {
		a = r.stricter(a, r.match(src))
	}
	switch {
	case a.method == nil:
		return a
	case !c.Type.forgeable():
		return r.null
	case c.Derived && a.name != MethodNull:
		return r.redact
	default:
		return a
	}
}

// Empty reports whether the plan changes nothing, so that rows can pass unread.
func (p *Plan) Empty() bool { return p != nil && p.masked == 0 && p.searched == 0 }

// Masks reports whether the plan masks any column whatever its values are, so that
// every row changes.
func (p *Plan) Masks() bool { return p == nil || p.masked > 0 }

// Constant reports whether the values of a column, but for NULLs, all become the
// same, so that Value need not be given them: nil will do.
func (p *Plan) Constant(column int) bool {
	return p == nil || column < 0 || column >= len(p.ops) || p.ops[column].method != nil && p.ops[column].isConstant()
}

// Columns returns the number of columns that rows must have.
func (p *Plan) Columns() int {
	if p == nil {
		return 0
	}
	return len(p.ops)
}

// Method returns the name of the method for a column: "" if its values pass,
// "detect" if that depends on what is found in them, and "null" for a column that
// the plan does not have.
func (p *Plan) Method(column int) string {
	if p == nil || column < 0 || column >= len(p.ops) {
		return MethodNull
	}
	if p.ops[column].find != nil {
		return MethodDetect
	}
	return p.ops[column].name
}
