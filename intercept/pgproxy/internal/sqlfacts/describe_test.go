package sqlfacts

import (
	"fmt"
	"strings"
)

// describe writes what a statement does in one line, short enough to read.
func describe(s *Statement) string {
	parts := []string{s.Tag}
	for i := range s.Effects {
		parts = append(parts, describeEffect(&s.Effects[i]))
	}
	for _, n := range s.Notations {
		parts = append(parts, "."+n.Name)
	}
	for _, set := range s.Settings {
		parts = append(parts, describeSetting(set))
	}
	if s.Rows {
		parts = append(parts, "-> "+describeOutput(s.Output))
	}
	for _, flag := range flags(s) {
		parts = append(parts, "+"+flag)
	}
	for _, reason := range s.Opaque {
		parts = append(parts, "!"+reason)
	}
	if s.Tag == "PREPARE" {
		parts = append(parts, "{"+describe(s.Inner)+"}")
	}
	return strings.Join(parts, "; ")
}

func describeEffect(e *Effect) string {
	name := e.Name
	if e.Schema != "" {
		name = e.Schema + "." + name
	}
	out := fmt.Sprintf("%s %s %s", e.Verb, e.Kind, name)
	if len(e.Columns) > 0 {
		out += "(" + describeColumns(e.Columns) + ")"
	}
	if len(e.Filtered) > 0 {
		out += "[" + describeColumns(e.Filtered) + "]"
	}
	return out
}

func describeColumns(refs []ColumnRef) string {
	var out []string
	for _, r := range refs {
		text := r.Name
		if r.Position > 0 {
			text += fmt.Sprintf("@%d", r.Position)
		}
		if r.Ambiguous {
			text += "?"
		}
		if r.Starred {
			text += "^"
		}
		if r.Unless != "" {
			text += "<" + r.Unless
		}
		out = append(out, text)
	}
	return strings.Join(out, ",")
}

func describeOutput(columns []OutputColumn) string {
	var out []string
	for _, c := range columns {
		text := c.Name
		switch {
		case c.Star:
			text = "*"
		case c.Pure:
			text += " pure"
		case c.Metadata:
			text += " metadata"
		case c.Counting:
			text += " counting"
		}
		if c.Selected {
			text += " selected"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func describeSetting(s Setting) string {
	if s.Computed {
		return "set computed"
	}
	out := fmt.Sprintf("set %s=%q", s.Name, s.Value)
	for flag, on := range map[string]bool{"local": s.Local} {
		if on {
			out += " " + flag
		}
	}
	if s.Reset {
		out += " reset"
	}
	if s.All {
		out += " all"
	}
	if s.FromCurrent {
		out += " current"
	}
	if s.Scope != "" {
		out += " in " + s.Scope
	}
	return out
}

func flags(s *Statement) []string {
	var out []string
	for _, f := range []struct {
		name string
		on   bool
	}{
		{"where", s.Where}, {"setop", s.SetOperation}, {"unknown", s.UnknownFunctions},
		{"fromfunc", s.FunctionInFrom}, {"derived", s.WritesDerived}, {"selected", s.WritesSelected}, {"catalog", s.ChangesCatalog},
		{"temp", s.CreatesTemp}, {"analyze", s.Analyze}, {"hold", s.CursorHold},
		{"closesall", s.ClosesAll}, {"deallocall", s.DeallocatesAll},
	} {
		if f.on {
			out = append(out, f.name)
		}
	}
	return out
}
