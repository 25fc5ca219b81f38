package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// CopyOptions are the options of a COPY that say how rows are written. What is
// not given has the server's default for the format.
type CopyOptions struct {
	// Format is "text", "csv", "binary", or what else was asked for.
	Format string
	// Delimiter, Quote and Escape are one byte each in what the server takes.
	Delimiter, Quote, Escape string
	// Null is what stands for NULL.
	Null string
	// Header says that a line with the names of the columns comes first.
	Header bool
	// Encoding is the encoding asked for, "" for the client's.
	Encoding string
	// Unknown is an option that is not known here, or whose value can't be read,
	// "" if there is none: the rows may be written in another way then.
	Unknown string
}

// copyOptions reads the options. The old syntax, as in CSV HEADER, comes out of
// the grammar in the same form.
func copyOptions(list []*pg.Node) CopyOptions {
	o := CopyOptions{Format: "text"}
	given := map[string]bool{}
	for _, n := range list {
		d := n.GetDefElem()
		if given[d.GetDefname()] || !o.set(d) {
			o.Unknown = d.GetDefname()
		}
		given[d.GetDefname()] = true
	}
	csv := o.Format == "csv"
	fill := func(name string, value *string, text, inCSV string) {
		switch {
		case given[name]:
		case csv:
			*value = inCSV
		default:
			*value = text
		}
	}
	fill("delimiter", &o.Delimiter, "\t", ",")
	fill("null", &o.Null, `\N`, "")
	fill("quote", &o.Quote, "", `"`)
	fill("escape", &o.Escape, "", o.Quote)
	return o
}

// set takes one option and reports whether it is understood.
func (o *CopyOptions) set(d *pg.DefElem) bool {
	fields := map[string]*string{
		"format": &o.Format, "delimiter": &o.Delimiter, "null": &o.Null,
		"quote": &o.Quote, "escape": &o.Escape, "encoding": &o.Encoding,
	}
	switch name := d.GetDefname(); name {
	case "header":
		return o.setHeader(d.GetArg())
	case "force_quote", "force_not_null", "force_null", "freeze", "default", "on_error", "log_verbosity", "reject_limit", "convert_selectively":
		return true // say what is quoted, and how rows are read
	default:
		field := fields[name]
		if field == nil {
			return false
		}
		text, ok := d.GetArg().GetNode().(*pg.Node_String_)
		if ok {
			*field = text.String_.GetSval()
		}
		return ok
	}
}

// setHeader reads a boolean as COPY does, or "match", which is a header, too.
func (o *CopyOptions) setHeader(n *pg.Node) bool {
	var text string
	switch v := n.GetNode().(type) {
	case nil:
		text = "true"
	case *pg.Node_Boolean:
		text = boolText(v.Boolean.GetBoolval())
	case *pg.Node_Integer:
		text = itoa(v.Integer.GetIval())
	case *pg.Node_String_:
		text = strings.ToLower(v.String_.GetSval())
	}
	switch text {
	case "true", "on", "1", "match":
		o.Header = true
	case "false", "off", "0":
	default:
		return false
	}
	return true
}
