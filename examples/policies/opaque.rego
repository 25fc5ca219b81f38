# What could not be analysed is refused: no other rule could judge it.
package gateway

deny contains {
	"rule": "opaque",
	"message": sprintf("this command can't be analysed: %s", [concat(", ", input.command.opaque)]),
	"hint": "write it without dynamic parts, one plain statement at a time",
} if {
	count(input.command.opaque) > 0
}

deny contains {
	"rule": "unanalysed",
	"message": "nothing is known about what this command does",
} if {
	not input.command.effects
}
