package gateway_test

import data.gateway

privileged := {"subject": "officer", "issuer": "i", "method": "oidc", "groups": ["privacy"]}

test_personal_columns_are_masked if {
	question := asked(reader, [effect("read", "table", "public.users")])
	{"table": "*.*", "column": "email", "method": "email"} in gateway.mask with input as question
	every entry in data.settings.masks {
		entry in gateway.mask with input as question
	}
}

test_the_unmasked_group_sees_all if {
	question := asked(privileged, [filtered("read", "public.users", ["email"])])
	count(gateway.mask) == 0 with input as question
	count(gateway.deny) == 0 with input as question
	gateway.allow with input as question
}

test_masked_columns_are_no_filters if {
	every columns in [["email"], ["id", "ssn"], ["*"]] {
		names(gateway.deny) == {"masked-filter"} with input as asked(reader, [filtered("read", "public.users", columns)])
	}
	count(gateway.deny) == 0 with input as asked(reader, [filtered("read", "public.users", ["id"])])
}

test_masks_of_one_table if {
	masks := [{"table": "hr.people", "column": "name", "method": "redact"}]
	denied := {"hr.people", "people"}
	free := {"public.people", "hr.teams", "teams"}
	every name in denied {
		count(gateway.deny) == 1 with input as asked(reader, [filtered("read", name, ["name"])]) with data.settings.masks as masks
	}
	every name in free {
		count(gateway.deny) == 0 with input as asked(reader, [filtered("read", name, ["name"])]) with data.settings.masks as masks
	}
}

test_limits_are_optional if {
	count(gateway.limit) == 0 with input as asked(reader, [])
	gateway.limit == {{"rows": 5}} with input as asked(reader, []) with data.settings.limit as {"rows": 5}
}
