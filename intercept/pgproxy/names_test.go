package pgproxy_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/policy"
)

// What a name means is decided by the server. These tests try to make the
// gateway judge one meaning and the server run another.

const itemsSetup = `CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 10) i`

func TestFailedParseDoesNotRename(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denyingExecution(policy.VerbDelete), setup: itemsSetup})
		c := r.session(t)
		c.send(&pgproto3.Parse{Name: "s", Query: "DELETE FROM items"}, &pgproto3.Sync{})
		c.expect("ParseComplete", "ZI")
		c.send(
			&pgproto3.Parse{Name: "s", Query: "SELECT 1"}, &pgproto3.Sync{},
			&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{},
		)
		c.expect("ERROR 42P05", "ZI", "ERROR 42501", "ZI")
		r.wantItems("10")
	})
}

func TestSQLRenamesWithinPipeline(t *testing.T) {
	const secret = "SELECT email FROM people"
	sync := &pgproto3.Sync{}
	runStatement := []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, sync}
	runPortal := []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: "p"}, sync}
	cases := map[string][]pgproto3.FrontendMessage{
		"statement":          pipeline("DEALLOCATE s", "PREPARE s AS "+secret, runStatement),
		"statement by query": pipeline(&pgproto3.Query{String: "DEALLOCATE s; PREPARE s AS " + secret}, runStatement),
		"all statements":     pipeline("DISCARD PLANS", "DEALLOCATE ALL", "PREPARE s AS "+secret, runStatement),
		"portal":             pipeline("CLOSE p", "DECLARE p CURSOR FOR "+secret, runPortal),
		"portal by query":    pipeline(&pgproto3.Query{String: "CLOSE p; DECLARE p CURSOR FOR " + secret}, runPortal),
		"all portals":        pipeline("CLOSE ALL", "DECLARE p CURSOR FOR "+secret, runPortal),
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: masking("public.people.email:redact"),
			setup: `CREATE TABLE people (email text); INSERT INTO people VALUES ('ada@example.org')`})
		for name, messages := range cases {
			t.Run(name, func(t *testing.T) {
				c := r.session(t)
				c.query("BEGIN", "BEGIN", "ZT")
				c.send(&pgproto3.Parse{Name: "s", Query: "SELECT 'harmless'"},
					&pgproto3.Bind{PreparedStatement: "s", DestinationPortal: "p"}, sync)
				c.expect("ParseComplete", "BindComplete", "ZT")
				c.send(append(messages, &pgproto3.Query{String: "ROLLBACK"})...)
				for m := range c.messages() {
					if m == "row ada@example.org" {
						t.Fatal("a masked value was released")
					}
					if m == "ROLLBACK" {
						break
					}
				}
			})
		}
	})
}

func TestNamesInSQLAndProtocol(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: itemsSetup})
		c := r.session(t)
		c.query("PREPARE q AS SELECT name FROM items WHERE id = $1", "PREPARE", "ZI")
		c.send(&pgproto3.Bind{PreparedStatement: "q", Parameters: [][]byte{[]byte("3")}}, &pgproto3.Execute{}, &pgproto3.Sync{})
		c.expect("BindComplete", "row item 3", "SELECT 1", "ZI")
		c.query("EXECUTE q(4)", "RowDescription", "row item 4", "SELECT 1", "ZI")
		c.send(&pgproto3.Parse{Name: "w", Query: "SELECT 7"}, &pgproto3.Sync{})
		c.expect("ParseComplete", "ZI")
		c.query("EXECUTE w", "RowDescription", "row 7", "SELECT 1", "ZI")
		c.query("DEALLOCATE w", "DEALLOCATE", "ZI")
		c.send(&pgproto3.Bind{PreparedStatement: "w"}, &pgproto3.Sync{})
		c.expect("ERROR 26000", "ZI")
		c.query("BEGIN; DECLARE k CURSOR FOR SELECT id FROM items ORDER BY id; FETCH 2 FROM k",
			"BEGIN", "DECLARE CURSOR", "RowDescription", "row 1", "row 2", "FETCH 2", "ZT")
		c.send(pipeline("FETCH 1 FROM k", &pgproto3.Sync{})...)
		c.expect("ParseComplete", "BindComplete", "row 3", "FETCH 1", "ZT")
		c.query("CLOSE k; COMMIT", "CLOSE CURSOR", "COMMIT", "ZI")
		c.query("DISCARD ALL", "DISCARD ALL", "ZI")
		c.send(&pgproto3.Describe{ObjectType: 'S', Name: "q"}, &pgproto3.Sync{})
		c.expect("ERROR 26000", "ZI")
		c.send(&pgproto3.Parse{Name: "q", Query: "SELECT 8"}, &pgproto3.Bind{PreparedStatement: "q"}, &pgproto3.Execute{},
			&pgproto3.Close{ObjectType: 'S', Name: "q"}, &pgproto3.Sync{})
		c.expect("ParseComplete", "BindComplete", "row 8", "SELECT 1", "CloseComplete", "ZI")
		c.send(&pgproto3.Bind{PreparedStatement: "q"}, &pgproto3.Sync{})
		c.expect("ERROR 26000", "ZI")
	})
}

// wantItems checks how many items there are.
func (r *rig) wantItems(n string) {
	r.t.Helper()
	if got := r.pg.Query("SELECT count(*) FROM items")[0][0]; got != n {
		r.t.Fatalf("%s items, want %s", got, n)
	}
}
