# Taking a table out by COPY, the fastest way to do it, waits for a human.
package gateway

ask contains {
	"rule": "bulk-export",
	"message": sprintf("rows of %s would be copied out", [effect.name]),
	"hint": "SELECT the rows that you need",
	"approvers": data.settings.approvers,
	"expires": "15m",
} if {
	some statement in input.command.sql.statements
	statement.tag == "COPY"
	some effect in input.command.effects
	effect.verb == "read"
	effect.kind == "table"
}
