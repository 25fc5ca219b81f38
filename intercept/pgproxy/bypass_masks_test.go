package pgproxy_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// A policy may hand out parts of one array of masks.
func TestMasksOfOneArrayAreToldApart(t *testing.T) {
	all := []policy.Mask{{Table: "public.people", Column: "card", Method: "redact"}, {Table: "public.people", Column: "email", Method: "redact"}}
	var more atomic.Bool
	r := newRig(t, rigConfig{
		policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
			if in.Command.Action == policy.ActionConnect {
				return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
			}
			n := 1
			if more.Load() {
				n = 2
			}
			return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: all[:n]}, nil
		}),
		proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: bypassSchema,
	})
	conn := r.connect(t)
	const sql = "SELECT name, card, email FROM people WHERE id = 1"
	expect := func(want string) {
		t.Helper()
		rows, err := runSimple(t.Context(), conn, sql)
		if err != nil || joined(rows) != want {
			t.Errorf("got %q, %v, want %q", joined(rows), err, want)
		}
	}
	expect("Ada,[redacted],canary-ada@secret.example")
	more.Store(true)
	expect("Ada,[redacted],[redacted]")
}

func TestComputedSettingsAreNotCarried(t *testing.T) {
	r := newRig(t, rigConfig{setup: bypassSchema})
	conn := r.connect(t)
	for _, sql := range []string{
		"SELECT set_config('search_path', NULL, false)", "SELECT set_config('search_' || 'path', 'other', false)", "SELECT set_config('search_path'::text || '', 'other', true)",
		"SELECT set_config(upper('x'), 'other', false)", "SELECT set_config('work_mem', (SELECT '1MB'), false)", "SELECT pg_catalog.set_config(VARIADIC NULL)", "PREPARE p AS SELECT set_config('search_' || 'path', 'other', false)",
	} {
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "0A000" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	rows, err := runSimple(t.Context(), conn, "SELECT set_config('work_mem', '1MB', false)")
	if err != nil || joined(rows) != "1MB" {
		t.Errorf("got %q, %v", rows, err)
	}
}

// A policy that lets only reads through must hear of functions in the way of
// columns.
func TestNotationsAreSeenByThePolicy(t *testing.T) {
	r := newBypassRig(t, readingOnly())
	conn := r.connect(t)
	for _, sql := range []string{
		"SELECT ('tickets'::regclass).nextval", "SELECT (4242::oid).lo_create", "SELECT (SELECT pg_backend_pid()).pg_cancel_backend", "SELECT ('/etc/hostname'::text).pg_read_file", "SELECT ('x'::text).store",
		"SELECT (s.v).store FROM (SELECT 'x'::text AS v) s", "SELECT x.store FROM concat('x') x", "SELECT store.store FROM concat('x') AS store(x)", "SELECT o.leak_of_row FROM orders o", "SELECT 1 FROM orders o WHERE o.leak_of_row > ''",
		"SELECT json_value('{}', '$.a')",
	} {
		if _, err := runSimple(t.Context(), conn, sql); sqlState(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	rows, err := runSimple(t.Context(), conn, "SELECT (o).item, o.id, g.g FROM orders o, generate_series(1, 1) g WHERE o.id = 1")
	if err != nil || joined(rows) != "tea,1,1" {
		t.Errorf("got %q, %v", rows, err)
	}
}
