# Changing or deleting all rows of a table waits for a human. No column decides
# which rows an UPDATE or DELETE without WHERE, or a TRUNCATE, meets.
package gateway

ask contains {
	"rule": "all-rows",
	"message": sprintf("every row of %s would be met by this %s", [effect.name, effect.verb]),
	"hint": "add a WHERE clause",
	"approvers": data.settings.approvers,
	"expires": "15m",
} if {
	some effect in input.command.effects
	effect.kind == "table"
	effect.verb in {"update", "delete"}
	not effect.filtered
}
