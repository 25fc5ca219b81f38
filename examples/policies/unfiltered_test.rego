package gateway_test

import data.gateway

test_all_rows_are_asked_for if {
	every verb in ["update", "delete"] {
		question := asked(writer, [effect(verb, "table", "public.orders")])
		names(gateway.ask) == {"all-rows"} with input as question
		some entry in gateway.ask with input as question
		entry.approvers == ["dba"]
	}
}

test_one_unfiltered_effect_is_enough if {
	question := asked(writer, [filtered("delete", "public.orders", ["id"]), effect("delete", "table", "public.audit")])
	count(gateway.ask) == 1 with input as question
}

test_inserting_is_not_asked_for if {
	count(gateway.ask) == 0 with input as asked(writer, [effect("create", "table", "public.orders")])
}
