package gateway

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
)

// instrumentation names the library in traces and metrics.
const instrumentation = "github.com/headgate/gateway"

// watch is where a Gateway logs, traces and counts. No label holds what a client
// chose.
type watch struct {
	logger   *slog.Logger
	tracer   trace.Tracer
	counting bool

	sessions metric.Int64UpDownCounter
	refused  metric.Int64Counter
	commands metric.Int64Counter
	duration metric.Float64Histogram
}

func newWatch(c *Config) (*watch, error) {
	tracers, meters := c.TracerProvider, c.MeterProvider
	if tracers == nil {
		tracers = tracenoop.NewTracerProvider()
	}
	if meters == nil {
		meters = metricnoop.NewMeterProvider()
	}
	w := &watch{logger: c.Logger, tracer: tracers.Tracer(instrumentation), counting: c.MeterProvider != nil}
	meter := meters.Meter(instrumentation)
	var err error
	if w.sessions, err = meter.Int64UpDownCounter("headgate.sessions", metric.WithDescription("Sessions that are live")); err != nil {
		return nil, err
	}
	if w.refused, err = meter.Int64Counter("headgate.identity.refused", metric.WithDescription("Proofs of identity that did not hold")); err != nil {
		return nil, err
	}
	if w.commands, err = meter.Int64Counter("headgate.commands", metric.WithDescription("Commands judged")); err != nil {
		return nil, err
	}
	w.duration, err = meter.Float64Histogram("headgate.decision.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to a verdict, waiting for humans included"))
	return w, err
}

//nolint:spancheck // ended ends it
func (w *watch) started(g *intercept.Guard) trace.Span {
	target := targetAttributes(g)
	w.sessions.Add(context.Background(), 1, metric.WithAttributes(target...))
	_, span := w.tracer.Start(context.Background(), "headgate.session", trace.WithAttributes(target...),
		trace.WithAttributes(attribute.String("headgate.session", g.Session()), attribute.String("headgate.subject", g.Identity().Subject)))
	w.logger.Info("session started", "session", g.Session(), "target", g.Target().Name,
		"subject", g.Identity().Subject, "issuer", g.Identity().Issuer)
	return span
}

func targetAttributes(g *intercept.Guard) []attribute.KeyValue {
	t := g.Target()
	return []attribute.KeyValue{
		attribute.String("headgate.target", t.Name), attribute.String("headgate.protocol", t.Protocol),
	}
}

func (w *watch) identityRefused(g *intercept.Guard, reason string, err error) {
	w.refused.Add(context.Background(), 1, metric.WithAttributes(append(targetAttributes(g), attribute.String("reason", reason))...))
	w.logger.Warn("identity refused", "target", g.Target().Name, "client", g.Snapshot().Client, "reason", reason, "error", err)
}

func (w *watch) decided(g *intercept.Guard, span trace.Span, action string, outcome policy.Outcome, v intercept.Verdict, took time.Duration) {
	if w.counting {
		labels := metric.WithAttributes(append(targetAttributes(g),
			attribute.String("action", action), attribute.String("outcome", outcome.String()), attribute.Bool("forwarded", v.Forward))...)
		w.commands.Add(context.Background(), 1, labels)
		w.duration.Record(context.Background(), took.Seconds(), labels)
	}
	if v.Forward {
		return
	}
	r := v.Refused()
	if span != nil && span.IsRecording() {
		span.AddEvent("refused", trace.WithAttributes(attribute.String("code", r.Code), attribute.String("rule", r.Rule)))
	}
	if cause := r.Unwrap(); cause != nil {
		w.logger.Error("no decision", "session", g.Session(), "action", action, "code", r.Code, "error", cause)
		return
	}
	w.logger.Info("command refused", "session", g.Session(), "action", action, "code", r.Code, "rule", r.Rule)
}

func (w *watch) ended(g *intercept.Guard, span trace.Span, reason string) {
	w.sessions.Add(context.Background(), -1, metric.WithAttributes(targetAttributes(g)...))
	if span != nil {
		span.End()
	}
	w.logger.Info("session ended", "session", g.Session(), "reason", reason)
}
