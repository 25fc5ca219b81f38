package pgproxy_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
)

// The attacks here make the server run, or show, something else than what was
// judged, by getting the gateway's idea of the session out of step with the
// server's.

const stepSetup = `CREATE TABLE people (id int PRIMARY KEY, email text); INSERT INTO people VALUES (1, 'canary@example.org');
	CREATE TABLE harmless (id int, email text); INSERT INTO harmless VALUES (7, 'x');
	CREATE FUNCTION open_cursor(name text) RETURNS text LANGUAGE plpgsql STABLE AS
	$$ DECLARE c refcursor := name; BEGIN OPEN c FOR SELECT email FROM people; RETURN c; END $$`

const (
	maskedQuery   = "SELECT email FROM people"
	harmlessQuery = "SELECT 'harmless'::text"
)

// burst is what a client sends in one write, and how many ReadyForQuery answer it.
type burst struct {
	ready    int
	messages []pgproto3.FrontendMessage
}

func synced(messages ...pgproto3.FrontendMessage) burst {
	return burst{1, append(messages, &pgproto3.Sync{})}
}

func simple(texts ...string) burst {
	b := burst{ready: len(texts)}
	for _, text := range texts {
		b.messages = append(b.messages, &pgproto3.Query{String: text})
	}
	return b
}

func together(bursts ...burst) burst {
	var all burst
	for _, b := range bursts {
		all.ready += b.ready
		all.messages = append(all.messages, b.messages...)
	}
	return all
}

func parseAs(name, text string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: text} }

func TestNamesStayInStep(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, bursts := range map[string][]burst{
		"names that the server cuts": {
			synced(parseAs(long+"X", harmlessQuery)),
			synced(&pgproto3.Close{ObjectType: 'S', Name: long + "Y"}, parseAs(long+"Y", maskedQuery)),
			synced(&pgproto3.Bind{PreparedStatement: long + "X"}, &pgproto3.Execute{}),
		},
		"a Close that is taken back": {
			synced(parseAs("", harmlessQuery)),
			together(synced(parseAs("f", "SELECT 1/count(*) FROM harmless WHERE id < 0"),
				&pgproto3.Bind{PreparedStatement: "f", DestinationPortal: "f"},
				&pgproto3.Execute{Portal: "f"}, &pgproto3.Close{ObjectType: 'S'}), synced(parseAs("", maskedQuery))),
			synced(&pgproto3.Bind{}, &pgproto3.Execute{}),
		},
		"EXECUTE of a name whose Parse fails": {
			synced(parseAs("s", maskedQuery)),
			together(synced(parseAs("s", harmlessQuery)), simple("EXECUTE s")),
		},
		"FETCH of a name whose Bind is rolled back": {
			simple("BEGIN"), synced(parseAs("", maskedQuery), &pgproto3.Bind{DestinationPortal: "c"}), simple("SAVEPOINT a"),
			together(synced(parseAs("", harmlessQuery), &pgproto3.Bind{DestinationPortal: "c"}), simple("ROLLBACK TO a", "FETCH ALL FROM c")),
		},
		"a cursor that ended with its transaction": {
			simple("BEGIN"), simple("DECLARE c CURSOR FOR " + harmlessQuery), simple("COMMIT"),
			simple("BEGIN"), simple("SELECT open_cursor('c')"), simple("FETCH ALL FROM c"),
		},
		"a cursor that DISCARD has ended": {
			simple("DECLARE c CURSOR WITH HOLD FOR " + harmlessQuery), simple("DISCARD ALL"),
			simple("BEGIN"), simple("SELECT open_cursor('c')"), simple("FETCH ALL FROM c"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, d driver) {
				r := newRig(t, rigConfig{driver: d, policy: masking("public.people.email:redact"), setup: stepSetup})
				c := r.session(t)
				for _, b := range bursts {
					c.send(b.messages...)
					if got := strings.Join(c.until(b.ready), "\n"); strings.Contains(got, "canary") {
						t.Fatalf("released:\n%s", got)
					}
				}
			})
		})
	}
}

// TestChangeOnItsWayIsDistrusted: a table becomes another's child while the
// gateway can't see it, because the session that did it does not read.
func TestChangeOnItsWayIsDistrusted(t *testing.T) {
	r := newRig(t, rigConfig{policy: masking("public.people.email:redact"), setup: stepSetup})
	reader, changer := r.session(t), r.session(t)
	reader.query("SELECT email FROM harmless", "RowDescription", "row x", "SELECT 1", "ZI")
	if err := changer.conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	changer.send(simple("SELECT repeat('x', 16000) FROM generate_series(1, 350)", "ALTER TABLE people INHERIT harmless").messages...)
	r.eventually(t, "SELECT count(*) FROM pg_inherits", "1")
	reader.send(simple("SELECT email FROM harmless").messages...)
	if got := strings.Join(reader.until(1), "\n"); strings.Contains(got, "canary") {
		t.Fatalf("released:\n%s", got)
	}
}

// TestLargeMessagesBehindAWait: what was read while a verdict was waited for is
// judged even if the server takes a message in parts.
func TestLargeMessagesBehindAWait(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d})
		conn := r.connect(t)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var n int
		if err := conn.QueryRow(ctx, "SELECT length($1::text)", strings.Repeat("x", 12<<20)).Scan(&n); err != nil || n != 12<<20 {
			t.Fatalf("%d, %v", n, err)
		}
	})
}

// TestUnnamedStatementOutlivesRefresh: the gateway's own questions leave the
// client's unnamed statement alone.
func TestUnnamedStatementOutlivesRefresh(t *testing.T) {
	r := newRig(t, rigConfig{proxy: pgproxy.Config{CatalogueMaxAge: time.Nanosecond}})
	c, other := r.session(t), r.session(t)
	c.send(synced(parseAs("", "SELECT 7")).messages...)
	c.until(1)
	other.query("SELECT 8", "RowDescription", "row 8", "SELECT 1", "ZI") // renews the catalogue
	c.send(synced(&pgproto3.Bind{}, &pgproto3.Execute{}).messages...)
	if got := strings.Join(c.until(1), " "); got != "BindComplete row 7 SELECT 1 ZI" {
		t.Fatalf("got %s", got)
	}
}

// TestNotificationPayloads: they are withheld from a session that has never seen
// a mask, unless the host lets them through.
func TestNotificationPayloads(t *testing.T) {
	masksForPeople := policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		d := policy.Decision{Outcome: policy.Allow, Revision: "1"}
		for _, e := range in.Command.Effects {
			if e.Name == "public.people" {
				d.Masks = []policy.Mask{{Table: "public.people", Column: "email", Method: "redact"}}
			}
		}
		return d, nil
	})
	for want, c := range map[string]pgproxy.Config{"": {}, "canary@example.org": {PassNotifications: true}} {
		r := newRig(t, rigConfig{policy: masksForPeople, setup: stepSetup, proxy: c})
		listener := r.session(t)
		listener.query("LISTEN ch", "LISTEN", "ZI")
		r.pg.Exec("SELECT pg_notify('ch', email) FROM people")
		if n, ok := listener.next().(*pgproto3.NotificationResponse); !ok || n.Channel != "ch" || n.Payload != want {
			t.Errorf("got %+v, want the payload %q", n, want)
		}
	}
}
