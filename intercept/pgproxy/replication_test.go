package pgproxy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
)

// Replication is put to the policy, however it is asked for, and never carried.
func TestReplicationIsPutToThePolicy(t *testing.T) {
	for _, test := range []struct{ value, text string }{
		{"true", "replication=true"}, {"TR", "replication=true"}, {"y", "replication=true"}, {"On", "replication=true"}, {"1", "replication=true"}, {"database", "replication=database"},
	} {
		for _, outcome := range []policy.Outcome{policy.Deny, policy.Ask, policy.Allow} {
			var asked []policy.Command
			r := newRig(t, rigConfig{driver: onReactor, approver: newDesk(t).engine, policy: policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
				asked = append(asked, *in.Command)
				d := policy.Decision{Outcome: policy.Allow, Revision: "1"}
				if slices.ContainsFunc(in.Command.Effects, func(e policy.Effect) bool { return e.Kind == "replication" }) {
					d.Outcome, d.Reasons = outcome, []policy.Reason{{Rule: "log", Message: "not the log"}}
				}
				return d, nil
			})})
			c := r.dial(t)
			c.bytes(startupPacket(3<<16, "user", "agent", "replication", test.value))
			c.next()
			c.send(&pgproto3.PasswordMessage{Password: token})
			e, ok := c.next().(*pgproto3.ErrorResponse)
			if !ok || e.Severity != "FATAL" {
				t.Fatalf("%s: got %+v", test.value, e)
			}
			want := map[policy.Outcome]string{policy.Deny: "headgate: not the log"}[outcome]
			if want == "" {
				want = "headgate: replication is allowed by the policy, but not carried: what it sends can't be masked"
			}
			if e.Message != want || !strings.HasPrefix(e.Detail, `{"code":`) {
				t.Errorf("%s, %v: got %+v", test.value, outcome, e)
			}
			c.end()
			if len(asked) != 2 || asked[0].Action != policy.ActionConnect || asked[1].Text != test.text || len(asked[1].Opaque) != 1 ||
				len(asked[1].Effects) != 1 || asked[1].Effects[0].Verb != policy.VerbRead || asked[1].Effects[0].Kind != "replication" {
				t.Errorf("%s: asked %+v", test.value, asked)
			}
			if n := r.pg.Query(others)[0][0]; n != "0" {
				t.Errorf("%s connections to the server", n)
			}
		}
	}
}

// The real clients get the documented error.
func TestReplicationClientsAreRefused(t *testing.T) {
	r := newRig(t, rigConfig{driver: onReactor})
	for _, args := range [][]string{
		{"pg_basebackup", "-D", filepath.Join(t.TempDir(), "copy")}, {"pg_receivewal", "-n", "-D", t.TempDir()}, {"pg_recvlogical", "-n", "-d", r.pg.Database, "--slot", "s", "--create-slot"},
	} {
		cmd := exec.CommandContext(t.Context(), testserver.Command(t, args[0]), args[1:]...)
		cmd.Env = append(os.Environ(), r.env()...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "headgate: replication is allowed by the policy, but not carried") {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}
