package pgproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
)

// addressesOf is Config.Upstream for some servers.
func addressesOf(servers ...*testserver.PG) string {
	var addresses []string
	for _, pg := range servers {
		addresses = append(addresses, fmt.Sprintf("%s:%d", pg.Host, pg.Port))
	}
	return strings.Join(addresses, ",")
}

// newReplicas is a server and a standby of it, and a rig for sessions on either.
func newReplicas(t *testing.T, setup string) (primary, standby *testserver.PG, over func(driver, pgproxy.TargetSession, ...string) *rig) {
	t.Helper()
	primary = testserver.Postgres(t, testserver.Own())
	if setup != "" {
		primary.Exec(setup)
	}
	standby = primary.Standby()
	return primary, standby, func(d driver, want pgproxy.TargetSession, hosts ...string) *rig {
		return newRig(t, rigConfig{driver: d, policy: masking("public.people.ssn:redact"), adjust: func(r *rig, c *pgproxy.Config) {
			r.pg = primary
			c.Upstream, c.TargetSession, c.Database = strings.Join(hosts, ","), want, primary.Database
		}})
	}
}

// TestTargetSessionOfStandby has a session be on the server that it has to be on, in
// whatever order they are given, and none where there is no such server.
func TestTargetSessionOfStandby(t *testing.T) {
	primary, standby, over := newReplicas(t, "")
	p, s, dead := addressesOf(primary), addressesOf(standby), closedPort(t)
	const onPrimary, onStandby, nowhere = "f", "t", ""
	tests := []struct {
		want  pgproxy.TargetSession
		hosts []string
		gets  string // pg_is_in_recovery
	}{
		{pgproxy.AnySession, []string{p, s}, onPrimary},
		{pgproxy.AnySession, []string{s, p}, onStandby},
		{pgproxy.AnySession, []string{dead, s, p}, onStandby},
		{pgproxy.ReadWrite, []string{s, p}, onPrimary},
		{pgproxy.ReadWrite, []string{dead, s, dead, p}, onPrimary},
		{pgproxy.ReadWrite, []string{dead, s}, nowhere},
		{pgproxy.ReadOnly, []string{p, s}, onStandby},
		{pgproxy.ReadOnly, []string{p, dead}, nowhere},
		{pgproxy.Primary, []string{s, p}, onPrimary},
		{pgproxy.Primary, []string{s}, nowhere},
		{pgproxy.Standby, []string{dead, p, s}, onStandby},
		{pgproxy.Standby, []string{p}, nowhere},
		{pgproxy.PreferStandby, []string{p, s}, onStandby},
		{pgproxy.PreferStandby, []string{p, dead}, onPrimary},
		{pgproxy.PreferStandby, []string{dead}, nowhere},
	}
	for _, test := range tests {
		r := over(onReactor, test.want, test.hosts...)
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		if test.gets == nowhere {
			if got := strings.Join(c.end(), " "); !strings.HasPrefix(got, "FATAL 08") {
				t.Errorf("%s of %v: got %q", test.want, test.hosts, got)
			}
			continue
		}
		c.until(1)
		c.query("SELECT pg_is_in_recovery()", "RowDescription", "row "+test.gets, "SELECT 1", "ZI")
	}
}

// TestPromotionInMidSession has the standby become the primary under a session on it:
// the session learns of it and goes on, and new ones go where they have to.
func TestPromotionInMidSession(t *testing.T) {
	for _, d := range []driver{onReactor, onGoroutines} {
		primary, standby, over := newReplicas(t, "CREATE TABLE people (id int, ssn text); INSERT INTO people VALUES (1, 'canary-ssn')")
		p, s := addressesOf(primary), addressesOf(standby)
		r := over(d, pgproxy.PreferStandby, p, s)
		c := r.session(t)
		c.query("SELECT id, ssn FROM people", "RowDescription", "row 1,[redacted]", "SELECT 1", "ZI")
		c.query("INSERT INTO people VALUES (2, 'canary-two')", "ERROR 25006", "ZI")
		c.query("BEGIN", "BEGIN", "ZT")
		primary.Stop()
		standby.Promote()
		r.pg = standby
		c.query("COMMIT", "COMMIT", "status in_hot_standby", "ZI")
		c.query("INSERT INTO people VALUES (2, 'canary-two') RETURNING ssn", "RowDescription", "row [redacted]", "INSERT 0 1", "ZI")
		c = over(d, pgproxy.ReadWrite, p, s).session(t)
		c.query("SELECT pg_is_in_recovery()", "RowDescription", "row f", "SELECT 1", "ZI")
		c = r.session(t) // there is no standby any more
		c.query("SELECT ssn FROM people WHERE id = 2", "RowDescription", "row [redacted]", "SELECT 1", "ZI")
	}
}

// TestLaggingStandby has a standby that does not know yet what the primary's catalogue
// says: what is masked goes by the catalogue of the server that the session is on.
func TestLaggingStandby(t *testing.T) {
	primary, standby, over := newReplicas(t, `CREATE TABLE people (id int, ssn text); INSERT INTO people VALUES (1, 'canary-ssn');
		CREATE VIEW listed AS SELECT id, ssn AS told FROM people`)
	standby.CatchUp(primary)
	standby.Exec("SELECT pg_wal_replay_pause()")
	primary.Exec("CREATE OR REPLACE VIEW listed AS SELECT id, 'nothing'::text AS told FROM people")
	relay := newRelay(t)
	relay.to.Store(addressesOf(primary))
	r := over(onReactor, pgproxy.AnySession, relay.listener.Addr().String(), addressesOf(standby))
	first := r.session(t)
	const sql = "SELECT told, pg_is_in_recovery() FROM listed"
	first.query(sql, "RowDescription", "row nothing,f", "SELECT 1", "ZI")
	_ = relay.listener.Close()
	second := r.session(t)
	for i := range 2 {
		second.query(sql, "RowDescription", "row [redacted],t", "SELECT 1", "ZI")
		first.query(sql, "RowDescription", "row nothing,f", "SELECT 1", "ZI")
		first.query(fmt.Sprintf("CREATE TABLE other_%d (id int)", i), "CREATE TABLE", "ZI") // each is loaded anew
	}
}
