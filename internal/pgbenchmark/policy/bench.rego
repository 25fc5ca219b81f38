# The policy that the benchmark's gateway runs under.
package gateway

allow if {
	every effect in input.command.effects {
		ordinary(effect)
	}
}

ordinary(effect) if effect.verb in {"connect", "read", "create", "update"}

ordinary(effect) if effect.kind == "transaction"

deny contains {"rule": "no-ddl", "message": "the schema is fixed"} if {
	some effect in input.command.effects
	effect.verb in {"define", "grant"}
}

deny contains {"rule": "no-opaque", "message": "this statement can't be analysed"} if {
	count(input.command.opaque) > 0
}

ask contains {"rule": "confirm-delete", "message": "deletes rows"} if {
	some effect in input.command.effects
	effect.verb == "delete"
}

mask contains {"table": "public.pgbench_accounts", "column": "filler", "method": "redact"}

mask contains {"table": "*.*", "column": "email", "method": "email"}

mask contains {"table": "*.*", "column": "*", "detect": ["all"], "method": "redact"} if input.target.name == "detect"
