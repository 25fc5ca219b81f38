package intercept_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

// TestFactsAreToldApart has decisions that differ in one thing only.
func TestFactsAreToldApart(t *testing.T) {
	masks := []policy.Mask{{Table: "a"}, {Table: "b"}}
	reasons := []policy.Reason{{Rule: "a"}, {Rule: "b"}}
	decisions := []policy.Decision{
		{Outcome: policy.Allow}, {Outcome: policy.Deny}, {Outcome: policy.Allow, Masks: masks}, {Outcome: policy.Allow, Masks: masks[:1]},
		{Outcome: policy.Allow, Masks: masks[1:]}, {Outcome: policy.Allow, Reasons: reasons}, {Outcome: policy.Allow, Reasons: reasons[:1]},
		{Outcome: policy.Allow, Labels: map[string]string{"a": "1"}}, {Outcome: policy.Allow, Labels: map[string]string{"a": "2"}},
		{Outcome: policy.Allow, Labels: map[string]string{"b": "1"}}, {Outcome: policy.Allow, Limit: new(policy.Limit)},
		{Outcome: policy.Allow, Limit: &policy.Limit{Rows: 9}},
	}
	next := -1
	r := connected(t, decide(func(in *policy.Input) policy.Decision {
		d := policy.Decision{Outcome: policy.Allow}
		if in.Command.Action != policy.ActionConnect {
			d = decisions[next%len(decisions)]
		}
		d.Revision = "1"
		return d
	}))
	cmd := query("SELECT 1")
	for next = range 3 * len(decisions) {
		r.Authorize(t.Context(), cmd)
	}
	r.checkReferences(t)
	// What sets a limit that limits is recorded as what it comes to, as Deny.
	if n := len(r.entries(record.TypeFacts)); n != 1+len(decisions)-1 {
		t.Errorf("%d entries of facts for %d decisions", n-1, len(decisions))
	}
}

// checkReferences checks that each command refers to facts that stand before it.
func (r *rig) checkReferences(t *testing.T) {
	t.Helper()
	known := map[int]bool{}
	for _, e := range r.recorder.Entries(session) {
		var ref struct{ Ref int }
		if e.Type != record.TypeFacts && e.Type != record.TypeCommand {
			continue
		}
		if err := json.Unmarshal(e.Payload, &ref); err != nil {
			t.Fatal(err)
		}
		if e.Type == record.TypeCommand && !known[ref.Ref] {
			t.Fatalf("%s refers to what comes later", e.Payload)
		}
		if e.Type == record.TypeFacts && known[ref.Ref] {
			t.Fatalf("%d is there twice", ref.Ref)
		}
		known[ref.Ref] = true
	}
}

func TestFactsStandBeforeTheirCommands(t *testing.T) {
	r := connected(t)
	var wg sync.WaitGroup
	commands := make([]*policy.Command, 50)
	for i := range commands {
		commands[i] = query(fmt.Sprint(i))
	}
	for range 8 {
		wg.Go(func() {
			for _, cmd := range commands {
				r.Authorize(t.Context(), cmd)
			}
		})
	}
	wg.Wait()
	r.checkReferences(t)
	if n := len(r.entries(record.TypeFacts)); n != 1+len(commands) {
		t.Errorf("%d entries of facts", n)
	}
}

func TestFactsAreBounded(t *testing.T) {
	r := connected(t)
	first := query("SELECT 1")
	r.Authorize(t.Context(), first)
	for range 5000 {
		r.Authorize(t.Context(), query("SELECT 1"))
	}
	r.Authorize(t.Context(), first)
	r.checkReferences(t)
	if n := len(r.entries(record.TypeFacts)); n != 5003 {
		t.Errorf("%d entries: the first is still remembered", n)
	}
}
