# Personal columns are masked, except for members of a group in settings.unmasked.
# Who sees a column masked can't search or sort by it either: the answer would
# give the value away.
package gateway

mask contains entry if {
	not unmasked
	some entry in data.settings.masks
}

deny contains {
	"rule": "masked-filter",
	"message": sprintf("%s.%s is masked and can't decide which rows are met", [effect.name, entry.column]),
	"hint": "filter by another column, such as the key",
} if {
	not unmasked
	some effect in input.command.effects
	effect.kind == "table"
	some entry in data.settings.masks
	covers(entry.table, effect.name)
	some column in effect.filtered
	column in {entry.column, "*"}
}

unmasked if {
	some group in input.identity.groups
	group in data.settings.unmasked
}

# covers says that a mask's table, "schema.table" with "*" for any, is the table
# of that name. A name without a schema is covered if its table's name is.
covers(pattern, name) if {
	[schema, table] := split(pattern, ".")
	parts := split(name, ".")
	table in {"*", parts[count(parts) - 1]}
	schemas_match(schema, parts)
}

schemas_match(_, parts) if count(parts) == 1

schemas_match("*", _)

schemas_match(schema, parts) if schema == parts[0]
