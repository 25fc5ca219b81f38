package opa

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/headgate/gateway/policy"
)

// thirtyRules writes thirty deny rules as people do, one for each verb and table.
func thirtyRules() string {
	var b strings.Builder
	b.WriteString("allow if count(input.command.opaque) == 0\n\n")
	for _, verb := range []string{"drop", "truncate", "delete", "update", "define", "grant"} {
		for _, table := range []string{"users", "payments", "cards", "audit", "secrets"} {
			fmt.Fprintf(&b, "deny contains {\"rule\": \"%s-%s\", \"message\": \"not in production\"} if {\n"+
				"\tinput.target.labels.env == \"prod\"\n\tsome e in input.command.effects\n\te.verb == %q\n\te.name == %q\n\tnot %q in input.identity.groups\n}\n\n",
				verb, table, verb, table, "dba-"+table)
		}
	}
	return b.String()
}

// inputs returns n inputs that differ in what the policy reads.
func inputs(n int) []*policy.Input {
	out := make([]*policy.Input, n)
	for i := range out {
		out[i] = query("select 1", read("orders_"+strconv.Itoa(i)))
	}
	return out
}

func benchmark(b *testing.B, e *Evaluator, inputs []*policy.Input) {
	b.Helper()
	ctx := context.Background()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		d, err := e.Evaluate(ctx, inputs[i])
		if err != nil || d.Outcome != policy.Allow {
			b.Fatal(d, err)
		}
		if i++; i == len(inputs) {
			i = 0
		}
	}
}

// BenchmarkRepeated is a statement shape that the session has sent before.
func BenchmarkRepeated(b *testing.B) {
	benchmark(b, load(b, thirtyRules()), inputs(1))
}

// BenchmarkRepeatedManyShapes is the same with a thousand shapes in turn.
func BenchmarkRepeatedManyShapes(b *testing.B) {
	benchmark(b, load(b, thirtyRules()), inputs(1000))
}

// BenchmarkRepeatedReadsText is a policy for which the text counts as well.
func BenchmarkRepeatedReadsText(b *testing.B) {
	benchmark(b, load(b, thirtyRules()+"deny contains \"text\" if input.command.text == \"x\""), inputs(1))
}

// BenchmarkRepeatedReadsSession is a policy for which the session's id counts.
func BenchmarkRepeatedReadsSession(b *testing.B) {
	benchmark(b, load(b, thirtyRules()+"deny contains \"id\" if input.session.id == \"x\""), inputs(1))
}

// BenchmarkRepeatedParallel is a known shape from many sessions at once.
func BenchmarkRepeatedParallel(b *testing.B) {
	e, in := load(b, thirtyRules()), inputs(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if d, err := e.Evaluate(context.Background(), in[i%len(in)]); err != nil || d.Outcome != policy.Allow {
				b.Fatal(d, err)
			}
		}
	})
}

// BenchmarkOtherSession is a shape that another session of an equal identity has
// sent, but not this one: each round has an identity of its own.
func BenchmarkOtherSession(b *testing.B) {
	e, in := load(b, thirtyRules()), inputs(1)
	decide(b, e, in[0])
	ctx := context.Background()
	id := *in[0].Identity
	b.ReportAllocs()
	for b.Loop() {
		copied := id
		in[0].Identity = &copied
		if _, err := e.Evaluate(ctx, in[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNew is an input never seen: OPA evaluates.
func BenchmarkNew(b *testing.B) {
	benchmark(b, load(b, thirtyRules(), func(c *Config) { c.Remember = -1 }), inputs(1))
}

// BenchmarkDocument is the part of New that makes OPA's input.
func BenchmarkDocument(b *testing.B) {
	e, in := load(b, thirtyRules()), inputs(1)[0]
	p := e.current.Load()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.documentOf(in); err != nil {
			b.Fatal(err)
		}
	}
}
