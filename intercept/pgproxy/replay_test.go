package pgproxy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/record"
)

func TestRendererShowsRows(t *testing.T) {
	r := newRig(t, rigConfig{policy: denying(policy.VerbDefine)})
	ctx := context.Background()
	conn := r.connect(t)
	rows, err := conn.Query(ctx, "SELECT 7 AS id, 'ada' AS name, NULL AS gone", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	rows.Close()
	if _, err := conn.Exec(ctx, "CREATE TABLE t ()"); err == nil {
		t.Fatal("not refused")
	}
	c := r.session(t)
	c.send(calling(oidReverse, "said"))
	c.expect(`value "dias"`, "ZI")
	render := pgproxy.NewRenderer()
	var text strings.Builder
	for _, id := range r.recorder.Sessions() {
		for _, e := range r.recorder.Entries(id) {
			if e.Type == record.TypeOutput {
				text.WriteString(render(e) + "\n")
			}
		}
	}
	for _, want := range []string{"(id, name, gone)\n", "7 | ada | NULL\n", "SELECT 1\n", "dias\n", "ERROR 42501: headgate: define is not for agents\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, &text)
		}
	}
}

// FuzzRenderer: whatever a record holds, the renderer neither fails nor grows.
func FuzzRenderer(f *testing.F) {
	f.Add([]byte("T\x00\x00\x00\x06\x00\x00D\x00\x00\x00\x06\x00\x00C\x00\x00\x00\x0dSELECT 1\x00"), []byte("E\x00\x00\x00\x08SX\x00\x00"))
	f.Fuzz(func(_ *testing.T, a, b []byte) {
		render := pgproxy.NewRenderer()
		for _, p := range [][]byte{a, b, a} {
			render(record.Entry{Type: record.TypeOutput, Payload: p})
		}
	})
}
