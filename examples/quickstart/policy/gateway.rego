# What agents may do with the shop's database.
package gateway

# Agents read and change rows, in transactions if they like, as far as the analysis
# of the statement is complete.
allow if {
	"agents" in input.identity.groups
	count(input.command.opaque) == 0
	every effect in input.command.effects {
		permitted(effect)
	}
}

permitted(effect) if effect.verb == "connect"

permitted(effect) if {
	effect.kind == "table"
	effect.verb in {"read", "create", "update", "delete"}
}

permitted(effect) if effect.kind in {"transaction", "cursor", "statement"}

permitted(effect) if {
	effect.kind == "setting"
	effect.verb == "read"
}

deny contains {
	"rule": "no-schema-changes",
	"message": "agents don't change the schema",
	"hint": "open a migration request",
} if {
	some effect in input.command.effects
	effect.verb == "define"
}

ask contains {
	"rule": "confirm-delete",
	"message": sprintf("deletes rows of %s", [effect.name]),
	"approvers": ["dba"],
	"expires": "10m",
} if {
	some effect in input.command.effects
	effect.verb == "delete"
}

mask contains {"table": "public.customers", "column": "email", "method": "email"}

mask contains {"table": "public.customers", "column": "card", "method": "partial", "keep": 4}

# People write addresses into free text, too.
mask contains {"table": "*.*", "column": "*", "detect": ["email", "card"], "method": "redact"}

limit contains {"rows": 10}
