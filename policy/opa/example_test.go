package opa_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing/fstest"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/opa"
)

func ExampleNew() {
	rules := fstest.MapFS{"gateway.rego": {Data: []byte(`
package gateway

allow if {
	count(input.command.opaque) == 0
	every effect in input.command.effects { effect.verb == "read" }
}

deny contains {"rule": "no-payroll", "message": "payroll is out of bounds", "hint": "ask finance"} if {
	some effect in input.command.effects
	startswith(effect.name, "payroll.")
}
`)}}
	evaluator, err := opa.New(context.Background(), opa.Config{FS: rules})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, table := range []string{"public.orders", "payroll.salaries"} {
		decision, err := evaluator.Evaluate(context.Background(), &policy.Input{Command: &policy.Command{
			Action: policy.ActionQuery,
			Facts:  &policy.Facts{Effects: []policy.Effect{{Verb: policy.VerbRead, Kind: "table", Name: table}}},
		}})
		fmt.Println(table, decision.Outcome, decision.Reasons, err)
	}
	// Output:
	// public.orders allow [] <nil>
	// payroll.salaries deny [{no-payroll payroll is out of bounds ask finance [] 0s}] <nil>
}

// A misspelled field of the input is an error of loading.
func ExampleNew_misspelled() {
	rules := fstest.MapFS{"gateway.rego": {Data: []byte("package gateway\n\nallow if input.comand.action == \"query\"\n")}}
	_, err := opa.New(context.Background(), opa.Config{FS: rules})
	fmt.Println(err)
	// Output:
	// opa: compile policy: 1 error occurred: /gateway.rego:3: rego_type_error: undefined ref: input.comand.action
	// 	input.comand.action
	// 	      ^
	// 	      have: "comand"
	// 	      want (one of): ["approval" "command" "identity" "session" "target"]
}

// A policy that fails to load leaves the one in use alone.
func ExampleEvaluator_Reload() {
	rules := fstest.MapFS{"gateway.rego": {Data: []byte("package gateway\n\nallow := true\n")}}
	evaluator, err := opa.New(context.Background(), opa.Config{FS: rules})
	if err != nil {
		fmt.Println(err)
		return
	}
	before := evaluator.Revision()
	rules["gateway.rego"].Data = []byte("package gateway\n\nallow if\n")
	fmt.Println("reloaded:", evaluator.Reload(context.Background()) == nil)
	fmt.Println("same policy:", evaluator.Revision() == before)
	// Output:
	// reloaded: false
	// same policy: true
}

func ExampleBundleFile() {
	evaluator, err := opa.New(context.Background(), opa.Config{Bundle: opa.BundleFile("missing.tar.gz")})
	fmt.Println(evaluator, err)
	// Output:
	// <nil> opa: open bundle: open missing.tar.gz: no such file or directory
}

func ExampleSchema() {
	text, err := opa.Schema()
	if err != nil {
		fmt.Println(err)
		return
	}
	var schema struct{ Title string }
	err = json.Unmarshal(text, &schema)
	fmt.Println(schema.Title, err)
	// Output:
	// Headgate policy input, contract version 1 <nil>
}
