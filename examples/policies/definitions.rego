# The schema, roles, privileges and the server's own settings are not changed
# through the gateway, by nobody.
package gateway

deny contains {
	"rule": "no-definitions",
	"message": sprintf("%s %s would be defined, changed or dropped", [effect.kind, effect.name]),
	"hint": "put it into a migration",
} if {
	some effect in input.command.effects
	effect.verb == "define"
}

deny contains {
	"rule": "no-grants",
	"message": sprintf("privileges on %s %s would change", [effect.kind, effect.name]),
	"hint": "put it into a migration",
} if {
	some effect in input.command.effects
	effect.verb == "grant"
}
