# What sorts of effects there are. Effects that are of neither sort are allowed
# by no rule of this library.
package gateway.kinds

outside := {"file", "large object", "server", "replication", "replication slot"}

session := {"transaction", "cursor", "statement"}

# reading says that an effect changes nothing that outlives the session.
reading(effect) if {
	effect.verb == "read"
	not effect.kind in outside
}

reading(effect) if effect.verb == "connect"

reading(effect) if effect.kind in session

# changing says that an effect changes rows.
changing(effect) if {
	effect.kind == "table"
	effect.verb in {"create", "update", "delete"}
}
