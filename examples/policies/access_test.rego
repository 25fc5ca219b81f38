package gateway_test

import data.gateway

reader := {"subject": "agent-1", "issuer": "i", "method": "oidc", "groups": ["eng"]}

writer := {"subject": "agent-2", "issuer": "i", "method": "oidc", "groups": ["eng", "writers"]}

asked(identity, effects) := {
	"identity": identity,
	"command": {"action": "query", "text": "…", "effects": effects, "opaque": []},
}

effect(verb, kind, name) := {"verb": verb, "kind": kind, "name": name}

filtered(verb, name, columns) := {"verb": verb, "kind": "table", "name": name, "filtered": columns}

names(entries) := {entry.rule | some entry in entries}

test_reading_is_allowed if {
	question := asked(reader, [effect("read", "table", "public.orders"), effect("execute", "transaction", "begin")])
	gateway.allow with input as question
	count(gateway.deny) == 0 with input as question
	count(gateway.ask) == 0 with input as question
}

test_pure_expressions_are_allowed if {
	gateway.allow with input as asked(reader, [])
}

test_connecting_is_allowed if {
	gateway.allow with input as asked(reader, [effect("connect", "target", "orders")])
}

test_replication_is_not_reading if {
	question := asked(writer, [effect("connect", "target", "orders"), effect("read", "replication", "orders")])
	not gateway.allow with input as question
	not gateway.allow with input as asked(reader, [effect("read", "replication slot", "standby")])
}

test_replication_is_opaque if {
	question := {"identity": writer, "command": {
		"action": "connect", "text": "replication=true", "opaque": ["what is replicated can't be told"],
		"effects": [effect("connect", "target", "orders"), effect("read", "replication", "orders")],
	}}
	names(gateway.deny) == {"opaque"} with input as question
}

test_nothing_known_is_denied if {
	question := {"identity": writer, "command": {"action": "query", "text": "…"}}
	not gateway.allow with input as question
	names(gateway.deny) == {"unanalysed"} with input as question
}

test_an_empty_input_is_denied if {
	not gateway.allow with input as {}
}

test_opaque_is_denied if {
	question := {"identity": writer, "command": {"action": "query", "text": "…", "effects": [], "opaque": ["dynamic SQL"]}}
	names(gateway.deny) == {"opaque"} with input as question
}

test_definitions_and_grants_are_denied if {
	question := asked(writer, [effect("define", "table", "public.orders"), effect("grant", "table", "public.orders")])
	names(gateway.deny) == {"no-definitions", "no-grants"} with input as question
	not gateway.allow with input as question
}

test_readers_do_not_write if {
	every verb in ["create", "update", "delete"] {
		question := asked(reader, [filtered(verb, "public.orders", ["id"])])
		not gateway.allow with input as question
		names(gateway.deny) == {"read-only"} with input as question
	}
}

test_writers_write if {
	every verb in ["create", "update", "delete"] {
		question := asked(writer, [filtered(verb, "public.orders", ["id"]), effect("read", "table", "public.orders")])
		gateway.allow with input as question
		count(gateway.deny) == 0 with input as question
		count(gateway.ask) == 0 with input as question
	}
}

test_what_is_neither_reading_nor_writing_is_not_allowed if {
	every e in [
		effect("read", "file", "/etc/passwd"),
		effect("read", "large object", "*"),
		effect("execute", "function", "dblink"),
		effect("execute", "server", "pg_reload_conf"),
		effect("update", "setting", "search_path"),
		effect("transfer", "file", "/tmp/x"),
		effect("frobnicate", "table", "public.orders"),
	] {
		not gateway.allow with input as asked(writer, [e])
		not gateway.allow with input as asked(reader, [effect("read", "table", "t"), e])
	}
}
