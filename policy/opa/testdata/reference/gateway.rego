package gateway

deny contains {"rule": "no-ddl", "message": "the schema is fixed"} if {
	some effect in input.command.effects
	effect.verb in {"define", "grant"}
}

deny contains {"rule": "no-opaque", "message": "can't be analysed"} if {
	count(input.command.opaque) > 0
}

deny contains {"rule": "no-secret", "message": "not the secret"} if {
	contains(input.command.text, "secret")
}

deny contains {"rule": "too-many", "message": "enough for one session"} if {
	input.session.counters.commands >= 1000
}

ask contains {"rule": "confirm-delete", "message": "deletes rows", "approvers": ["dba"], "expires": "10m"} if {
	some effect in input.command.effects
	effect.verb == "delete"
}

allow if {
	count(input.command.effects) > 0
	every effect in input.command.effects {
		effect.verb == "read"
	}
}

mask contains {"table": "public.users", "column": "email", "method": "redact"}

limit contains {"rows": 100}

limit contains {"rows": 10} if input.target.labels.env == "prod"

label contains {"key": "touched", "value": "users"} if {
	some effect in input.command.effects
	effect.name == "public.users"
}
