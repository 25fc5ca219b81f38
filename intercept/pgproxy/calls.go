package pgproxy

import "github.com/headgate/gateway/policy"

// calls says what the catalogue knows of functions.
func (c *catalogue) calls(names []string) []policy.SQLCall {
	out := make([]policy.SQLCall, 0, len(names))
	for _, name := range names {
		out = append(out, c.call(name))
	}
	return out
}

// call puts together what is known of all functions of a name: those that users and
// extensions made, in any schema if the name has none, and the built-in ones.
func (c *catalogue) call(name string) policy.SQLCall {
	own := c.functions[name]
	return policy.SQLCall{
		Name: name, Volatility: volatilityName(max(own.volatility, c.builtins[name])),
		SecurityDefiner: own.definer, Builtin: !own.own && c.builtins[name] > 0,
	}
}

// volatilityOf orders the letters of pg_proc.provolatile: the more a function may
// do, the higher.
func volatilityOf(letter string) byte {
	switch letter {
	case "i":
		return 1
	case "s":
		return 2
	default:
		return 3
	}
}

func volatilityName(v byte) string { return [...]string{"", "immutable", "stable", "volatile"}[v] }
