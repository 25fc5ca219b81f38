# Everybody reads; members of a group in settings.writers change rows too.
# Whatever is neither, as calling an unknown function, reading the server's files
# or changing a setting, is allowed by no rule.
package gateway

import data.gateway.kinds

allow if {
	count(input.command.opaque) == 0
	every effect in input.command.effects {
		kinds.reading(effect)
	}
}

allow if {
	writer
	count(input.command.opaque) == 0
	every effect in input.command.effects {
		permitted(effect)
	}
}

deny contains {
	"rule": "read-only",
	"message": sprintf("you may read but not %s %s %s", [effect.verb, effect.kind, effect.name]),
	"hint": sprintf("this needs one of the groups: %s", [concat(", ", data.settings.writers)]),
} if {
	not writer
	some effect in input.command.effects
	kinds.changing(effect)
}

writer if {
	some group in input.identity.groups
	group in data.settings.writers
}

permitted(effect) if kinds.reading(effect)

permitted(effect) if kinds.changing(effect)
