package gateway_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/headgate/gateway"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// telemetry is a tracer and a meter that write down what they get, one line for
// each thing: its name, its labels and its value.
type telemetry struct {
	mu    sync.Mutex
	lines []string
	total map[string]float64
	open  int
}

func (y *telemetry) watch(c *gateway.Config) {
	c.TracerProvider, c.MeterProvider = tracers{telemetry: y}, meters{telemetry: y}
}

func (y *telemetry) add(value float64, name string, labels []attribute.KeyValue) {
	var b strings.Builder
	b.WriteString(name)
	for _, l := range labels {
		fmt.Fprintf(&b, " %s=%s", l.Key, l.Value.String())
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.lines = append(y.lines, b.String())
	if y.total == nil {
		y.total = map[string]float64{}
	}
	y.total[b.String()] += value
}

func (y *telemetry) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return strings.Join(y.lines, "\n")
}

type tracers struct {
	tracenoop.TracerProvider

	telemetry *telemetry
}

func (p tracers) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return tracer{telemetry: p.telemetry}
}

type tracer struct {
	tracenoop.Tracer

	telemetry *telemetry
}

func (r tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	c := trace.NewSpanStartConfig(opts...)
	r.telemetry.add(1, "span "+name, c.Attributes())
	r.telemetry.mu.Lock()
	r.telemetry.open++
	r.telemetry.mu.Unlock()
	return ctx, span{telemetry: r.telemetry}
}

type span struct {
	tracenoop.Span

	telemetry *telemetry
}

func (s span) IsRecording() bool { return true }

func (s span) AddEvent(name string, opts ...trace.EventOption) {
	c := trace.NewEventConfig(opts...)
	s.telemetry.add(1, "event "+name, c.Attributes())
}

func (s span) End(...trace.SpanEndOption) {
	s.telemetry.mu.Lock()
	defer s.telemetry.mu.Unlock()
	s.telemetry.open--
}

type meters struct {
	metricnoop.MeterProvider

	telemetry *telemetry
}

func (p meters) Meter(string, ...metric.MeterOption) metric.Meter {
	return meter{telemetry: p.telemetry}
}

type meter struct {
	metricnoop.Meter

	telemetry *telemetry
}

func (m meter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{telemetry: m.telemetry, name: name}, nil
}

func (m meter) Int64UpDownCounter(name string, _ ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	return upDown{telemetry: m.telemetry, name: name}, nil
}

func (m meter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return histogram{telemetry: m.telemetry, name: name}, nil
}

type counter struct {
	metricnoop.Int64Counter

	telemetry *telemetry
	name      string
}

func (c counter) Add(_ context.Context, n int64, opts ...metric.AddOption) {
	c.telemetry.addMetric(float64(n), c.name, opts)
}

type upDown struct {
	metricnoop.Int64UpDownCounter

	telemetry *telemetry
	name      string
}

func (c upDown) Add(_ context.Context, n int64, opts ...metric.AddOption) {
	c.telemetry.addMetric(float64(n), c.name, opts)
}

func (y *telemetry) addMetric(n float64, name string, opts []metric.AddOption) {
	c := metric.NewAddConfig(opts)
	set := c.Attributes()
	y.add(n, name, set.ToSlice())
}

type histogram struct {
	metricnoop.Float64Histogram

	telemetry *telemetry
	name      string
}

func (h histogram) Record(_ context.Context, _ float64, opts ...metric.RecordOption) {
	c := metric.NewRecordConfig(opts)
	set := c.Attributes()
	h.telemetry.add(1, h.name, set.ToSlice())
}

func TestTelemetry(t *testing.T) {
	seen := new(telemetry)
	r := newRig(t, seen.watch)
	c, ended := r.enter("lines", "token-of-ann")
	id := r.Sessions()[0].ID
	for _, line := range []string{"read client-chosen-1", "drop client-chosen-2", "read client-chosen-3"} {
		c.say(line)
	}
	_ = c.Close()
	if err := wait(t, ended); err != nil {
		t.Fatal(err)
	}
	const target = "headgate.protocol=lines headgate.target=lines"
	want := map[string]float64{
		"headgate.sessions " + target: 0,
		"headgate.commands action=connect forwarded=true " + target + " outcome=allow":                                         1,
		"headgate.commands action=line forwarded=true " + target + " outcome=allow":                                            2,
		"headgate.commands action=line forwarded=false " + target + " outcome=deny":                                            1,
		"headgate.decision.duration action=connect forwarded=true " + target + " outcome=allow":                                1,
		"headgate.decision.duration action=line forwarded=true " + target + " outcome=allow":                                   2,
		"headgate.decision.duration action=line forwarded=false " + target + " outcome=deny":                                   1,
		"span headgate.session headgate.target=lines headgate.protocol=lines headgate.session=" + id + " headgate.subject=ann": 1,
		"event refused code=policy_denied rule=no-drop":                                                                        1,
	}
	if !maps.Equal(seen.total, want) {
		for _, line := range slices.Sorted(maps.Keys(seen.total)) {
			t.Errorf("%g %s", seen.total[line], line)
		}
	}
	if seen.open != 0 {
		t.Errorf("%d spans are open", seen.open)
	}
	if strings.Contains(seen.String()+r.logs.String(), "client-chosen") {
		t.Error("what the client chose is in telemetry or the log")
	}
}

func TestTelemetryOfRefusedIdentity(t *testing.T) {
	seen := new(telemetry)
	r := newRig(t, seen.watch)
	for _, token := range []string{"canary-1", "canary-2"} {
		r.refused(t, token)
	}
	want := map[string]float64{"headgate.identity.refused headgate.protocol=lines headgate.target=lines reason=unknown_token": 2}
	if !maps.Equal(seen.total, want) || seen.open != 0 {
		t.Errorf("%v, %d spans", seen.total, seen.open)
	}
	if strings.Contains(r.logs.String(), "canary") {
		t.Error(r.logs)
	}
}

// refused tries to get in, in vain.
func (r *rig) refused(t *testing.T, token string) {
	t.Helper()
	near, far := pipe(t)
	ended := make(chan error, 1)
	go func() { ended <- r.ServeConn(context.Background(), "lines", far) }()
	if got := newClient(near).say(token); got != "refused unauthenticated" {
		t.Errorf("%q", got)
	}
	_ = wait(t, ended) // says why
}

func TestFaultsOfThePolicyAreLogged(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) {
		c.Policy = policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
			if in.Command.Text == "break" {
				panic("boom")
			}
			return decide(ctx, in)
		})
	})
	c, _ := r.enter("lines", "token-of-ann")
	if got := c.say("break"); got != "refused "+intercept.CodePolicyError {
		t.Errorf("%q", got)
	}
	if !strings.Contains(r.logs.String(), "boom") {
		t.Errorf("the host isn't told:\n%s", r.logs)
	}
}
