package pgproxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

const portalSetup = `CREATE TABLE items (id int PRIMARY KEY, name text, plain text); INSERT INTO items VALUES (1, 'canary-1', 'plain-1'), (2, 'canary-2', 'plain-2');
CREATE FUNCTION swap() RETURNS int LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'p'; BEGIN CLOSE c; OPEN c FOR SELECT name FROM items; RETURN 1; END $$;
CREATE FUNCTION still() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$`

// A function can put another cursor in the place of a portal that has been bound:
// what comes from there then is masked whole. Its benign twin reads on in a portal
// that the function has left alone.
func TestBypassByPortals(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		for _, pipelined := range []bool{false, true} {
			r := newRig(t, rigConfig{driver: d, policy: masking("public.items.name:redact"), setup: portalSetup})
			for _, function := range []string{"swap", "still"} {
				got := strings.Join(readPortal(t, r, function, pipelined), "\n")
				if strings.Contains(got, "canary") || !strings.Contains(got, "row 1") && !strings.Contains(got, "row [redacted]") {
					t.Errorf("%s, pipelined %v: got\n%s", function, pipelined, got)
				}
			}
		}
		r := newRig(t, rigConfig{driver: d, setup: portalSetup})
		if got := readPortal(t, r, "still", false); !slices.Contains(got, "row plain-2") {
			t.Errorf("without masks: got %q", got)
		}
	})
}

// readPortal reads a row from a portal, calls a function, and reads another.
func readPortal(t *testing.T, r *rig, function string, pipelined bool) []string {
	t.Helper()
	c := r.session(t)
	c.query("BEGIN", "BEGIN", "ZT")
	c.send(&pgproto3.Parse{Query: "SELECT plain FROM items ORDER BY id"}, &pgproto3.Bind{DestinationPortal: "p"},
		&pgproto3.Describe{ObjectType: 'P', Name: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{})
	c.expect("ParseComplete", "BindComplete", "RowDescription", "row plain-1", "PortalSuspended", "ZT")
	call := []pgproto3.FrontendMessage{&pgproto3.Parse{Query: "SELECT " + function + "()"}, &pgproto3.Bind{DestinationPortal: "call"}, &pgproto3.Execute{Portal: "call"}}
	read := &pgproto3.Execute{Portal: "p", MaxRows: 1}
	var got []string
	if pipelined {
		c.send(pipeline(call, read, &pgproto3.Sync{})...)
		got = c.until(1)
	} else {
		c.send(pipeline(call, &pgproto3.Sync{})...)
		got = c.until(1)
		c.send(read, &pgproto3.Sync{})
		got = append(got, c.until(1)...)
	}
	return got
}
