package gateway_test

import data.gateway

copied(identity, effects) := {
	"identity": identity,
	"command": {
		"action": "query", "text": "…", "effects": effects, "opaque": [],
		"sql": {"statements": [{"tag": "COPY", "where": false}]},
	},
}

detecting(masks) := {entry | some entry in masks; entry.detect}

test_content_is_masked if {
	question := asked(reader, [effect("read", "table", "public.notes")])
	found := detecting(gateway.mask) with input as question
	found == {{"table": "*.*", "column": "*", "detect": data.settings.detect, "method": "redact"}}
}

test_content_is_the_privileged_ones_to_see if {
	question := asked(privileged, [effect("read", "table", "public.notes")])
	count(detecting(gateway.mask)) == 0 with input as question
}

test_content_can_be_left_out if {
	question := asked(reader, [effect("read", "table", "public.notes")])
	count(detecting(gateway.mask)) == 0 with input as question with data.settings.detect as []
}

test_copying_out_is_asked_about if {
	question := copied(reader, [effect("read", "table", "public.orders")])
	names(gateway.ask) == {"bulk-export"} with input as question
	count(gateway.deny) == 0 with input as question
}

test_copying_in_is_a_write if {
	question := copied(writer, [effect("create", "table", "public.orders")])
	count(gateway.ask) == 0 with input as question
	gateway.allow with input as question
	names(gateway.deny) == {"read-only"} with input as copied(reader, [effect("create", "table", "public.orders")])
}

test_copying_to_files_is_not_allowed if {
	question := copied(writer, [effect("read", "table", "public.orders"), effect("update", "file", "/tmp/x")])
	not gateway.allow with input as question
}

test_limits_by_environment if {
	question := object.union(asked(reader, []), {"target": {"name": "db", "labels": {"env": "production"}}})
	limits := {"production": {"rows": 1000, "seconds": 30}}
	gateway.limit == {{"rows": 1000, "seconds": 30}} with input as question with data.settings.limits as limits
	count(gateway.limit) == 0 with input as question with data.settings.limits as {"test": {"rows": 1}}
}
