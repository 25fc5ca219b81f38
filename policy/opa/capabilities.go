package opa

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// refused reports whether a built-in function is off unless the host allows it:
// those that reach the network, read the process's environment, or give another
// answer each time. time.now_ns and what verifies by the clock stay on.
func refused(builtin string) bool {
	switch builtin {
	case "http.send", "net.lookup_ip_addr", // network
		"opa.runtime",               // environment and configuration of the process
		"rand.intn", "uuid.rfc4122", // randomness
		"io.jwt.encode_sign", "io.jwt.encode_sign_raw", // signing, randomised
		"trace":
		return true
	default:
		return false
	}
}

// reachesNetwork reports whether a built-in waits for somebody else.
func reachesNetwork(builtin string) bool {
	return builtin == "http.send" || builtin == "net.lookup_ip_addr"
}

// capabilities returns what policies may use: Rego v1 with every built-in that
// isn't refused, those of allow, and the network hosts of hosts.
func capabilities(allow, hosts []string) (*ast.Capabilities, error) {
	caps := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))
	for _, name := range allow {
		if !caps.ContainsBuiltin(name) {
			return nil, fmt.Errorf("opa: AllowBuiltins: there is no built-in %q", name)
		}
		if !refused(name) {
			return nil, fmt.Errorf("opa: AllowBuiltins: %q is on by default", name)
		}
	}
	own := *caps
	own.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		return refused(b.Name) && !slices.Contains(allow, b.Name)
	})
	own.AllowNet = append([]string{}, hosts...) // not nil, which would be every host
	return &own, nil
}
