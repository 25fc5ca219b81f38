package static

import (
	"maps"
	"slices"

	"github.com/headgate/gateway/policy"
)

// clone returns a copy of id that shares no slice or map with it.
func clone(id policy.Identity) policy.Identity {
	id.Groups = slices.Clone(id.Groups)
	id.Actors = slices.Clone(id.Actors)
	if id.Claims != nil {
		id.Claims = cloneMap(id.Claims)
	}
	return id
}

func cloneMap(m map[string]any) map[string]any {
	m = maps.Clone(m)
	for k, v := range m {
		m[k] = cloneValue(v)
	}
	return m
}

// cloneValue copies what a claim decoded from JSON, or written as such, is made of.
func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		v = slices.Clone(v)
		for i := range v {
			v[i] = cloneValue(v[i])
		}
		return v
	case []string:
		return slices.Clone(v)
	default:
		return v
	}
}
