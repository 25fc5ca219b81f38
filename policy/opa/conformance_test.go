package opa_test

import (
	"testing"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/opa"
	"github.com/headgate/gateway/policy/policytest"
)

func TestConformance(t *testing.T) {
	for name, remember := range map[string]int{"remembering": 0, "forgetting": -1} {
		t.Run(name, func(t *testing.T) {
			policytest.Run(t, func(t *testing.T) policy.Evaluator {
				t.Helper()
				e, err := opa.New(t.Context(), opa.Config{Dir: "testdata/reference", Remember: remember})
				if err != nil {
					t.Fatal(err)
				}
				return e
			})
		})
	}
}
