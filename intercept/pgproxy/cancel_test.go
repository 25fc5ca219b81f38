package pgproxy_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/approve"
	"github.com/headgate/gateway/policy"
)

// cancelRequest asks the gateway to cancel and waits until it has been done.
func (r *rig) cancelRequest(t testing.TB, pid uint32, key []byte) {
	t.Helper()
	sendCancel(t, r.dial(t).conn, pid, key)
}

func sendCancel(t testing.TB, conn net.Conn, pid uint32, key []byte) {
	t.Helper()
	b := binary.BigEndian.AppendUint32(startupCode(codeCancel), pid)
	b = append(b, key...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the server's answer to a question is the wanted one. The
// server is asked again and again: nothing tells when its own state changes.
func (r *rig) eventually(t testing.TB, sql, want string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := ""
		if rows := r.pg.Query(sql); len(rows) > 0 {
			got = rows[0][0]
		}
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %q, want %q", sql, got, want)
		}
	}
}

const sleepers = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()`

func TestCancelWithOurKey(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		for _, protocol := range []uint32{3 << 16, 3<<16 | 2} {
			c := r.sessionOf(t, protocol)
			c.send(&pgproto3.Query{String: "SELECT pg_sleep(60)"})
			r.eventually(t, sleepers, "1")
			wrong := slices.Clone(c.key.SecretKey)
			wrong[len(wrong)-1] ^= 1
			r.cancelRequest(t, c.key.ProcessID, wrong)
			r.cancelRequest(t, c.key.ProcessID+1, c.key.SecretKey)
			r.cancelRequest(t, c.key.ProcessID, append(wrong, 0))
			r.cancelRequest(t, c.key.ProcessID, []byte{0, 0, 0, 0})
			r.eventually(t, sleepers, "1")
			r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
			c.expect("RowDescription", "ERROR 57014", "ZI")
			c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		}
	})
}

// The process id is the server's, as notifications tell it, too; the key is the
// gateway's own and nothing to the server.
func TestKeysAreNotTheServers(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		pid := strconv.FormatUint(uint64(c.key.ProcessID), 10)
		c.query("SELECT pg_backend_pid()", "RowDescription", "row "+pid, "SELECT 1", "ZI")
		other := r.session(t)
		if c.key.ProcessID == other.key.ProcessID || slices.Equal(c.key.SecretKey, other.key.SecretKey) {
			t.Fatal("two sessions have one key")
		}
		server, err := net.Dial("tcp", net.JoinHostPort(r.pg.Host, strconv.Itoa(r.pg.Port)))
		if err != nil {
			t.Fatal(err)
		}
		sendCancel(t, server, c.key.ProcessID, c.key.SecretKey)
		if !strings.Contains(r.pg.Log(), "wrong key in cancel request for process "+pid) {
			t.Fatal("the server takes the gateway's key, or was not asked")
		}
		c.send(&pgproto3.Terminate{})
		c.end()
		r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey) // the key of a session that has ended: nothing happens
	})
}

// A cancel request that comes too late must not hit what is sent next.
func TestLateCancel(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		for range 20 {
			c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
			done := make(chan struct{})
			go func() {
				defer close(done)
				r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
			}()
			<-done
			c.query("SELECT pg_sleep(0.01)", "RowDescription", "row ", "SELECT 1", "ZI")
		}
	})
}

func TestCancelByContext(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		config, err := pgx.ParseConfig(r.url())
		if err != nil {
			t.Fatal(err)
		}
		config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: patience}
		}
		conn, err := pgx.ConnectConfig(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			r.eventually(t, sleepers, "1")
			cancel()
		}()
		if _, err := conn.Exec(ctx, "SELECT pg_sleep(60)"); sqlState(err) != "57014" && !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		if err := conn.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// The analysis of a long text is done aside; a cancel afterwards must reach the
// server all the same.
func TestCancelOfLongStatement(t *testing.T) {
	long := "SELECT pg_sleep(60) /* " + strings.Repeat("long ", 2000) + "*/"
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		c := r.session(t)
		c.send(&pgproto3.Query{String: long})
		r.eventually(t, sleepers, "1")
		r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
		c.expect("RowDescription", "ERROR 57014", "ZI")
	})
}

// waitingApprover says when it is asked, and waits for its answer.
type waitingApprover struct {
	asked   chan approve.Request
	answers chan error
	left    chan error
}

func newWaitingApprover() *waitingApprover {
	return &waitingApprover{asked: make(chan approve.Request, 10), answers: make(chan error), left: make(chan error, 10)}
}

func (a *waitingApprover) Approve(ctx context.Context, req approve.Request, pending func(approve.Pending)) (approve.Grant, error) {
	if pending != nil {
		pending(approve.Pending{ID: "ap-1", URL: "https://approve.example/ap-1"})
	}
	a.asked <- req
	select {
	case err := <-a.answers:
		if err != nil {
			return approve.Grant{}, err
		}
		return approve.Grant{ID: "ap-1", Digest: req.Digest, Approver: policy.Identity{Subject: "human"}}, nil
	case <-ctx.Done():
		a.left <- ctx.Err()
		return approve.Grant{}, ctx.Err()
	}
}

func TestCancelOfApproval(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		a := newWaitingApprover()
		r := newRig(t, rigConfig{driver: d, policy: asking(policy.VerbDelete), approver: a, setup: itemsSetup})
		c := r.session(t)
		c.query("BEGIN", "BEGIN", "ZT")
		c.send(&pgproto3.Query{String: remove})
		<-a.asked
		r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
		c.expect("notice 01000", "ERROR 57014", "ZE")
		<-a.left
		c.query("ROLLBACK", "ROLLBACK", "ZI")
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		r.wantItems("10")
	})
}

// What runs in front of a waiting statement is cancelled with it.
func TestCancelOfWhatRunsBeforeApproval(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		a := newWaitingApprover()
		r := newRig(t, rigConfig{driver: d, policy: asking(policy.VerbDelete), approver: a, setup: itemsSetup})
		c := r.session(t)
		c.send(pipeline("SELECT pg_sleep(60)", remove, &pgproto3.Sync{})...)
		<-a.asked
		r.eventually(t, sleepers, "1")
		r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
		<-a.left
		for m := range c.messages() {
			if m == "ZI" {
				break
			}
		}
		r.eventually(t, sleepers, "0")
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		r.wantItems("10")
	})
}

// A cancel request that comes while the policy is being asked cancels the
// statement, and is no fault of the policy's.
func TestCancelWhileJudged(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		asked := make(chan struct{}, 1)
		r := newRig(t, rigConfig{driver: d, policy: policy.EvaluatorFunc(func(ctx context.Context, in *policy.Input) (policy.Decision, error) {
			if in.Command.Text == "SELECT 'slow'" {
				asked <- struct{}{}
				<-ctx.Done()
				return policy.Decision{}, ctx.Err()
			}
			return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
		})})
		c := r.session(t)
		c.send(&pgproto3.Query{String: "SELECT 'slow'"})
		<-asked
		r.cancelRequest(t, c.key.ProcessID, c.key.SecretKey)
		c.expect("ERROR 57014", "ZI")
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
	})
}
