package pgproxy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// A shadowing gives a name that is known another meaning on the way. Steps starting
// with "prepare:" and "run:" prepare and run a statement of the extended protocol.
type shadowing struct {
	name string
	// steps may fail; behind runs past the gateway before the last of them.
	steps  []string
	behind string
	last   []string
	// twin must give want afterwards.
	twin, want string
}

func shadowings() []shadowing {
	return []shadowing{
		{"temporary table with rows", []string{"CREATE TEMP TABLE orders AS SELECT id, email AS item FROM people", "CREATE TEMP TABLE orders (LIKE people)", "INSERT INTO orders SELECT * FROM people", "INSERT INTO pg_temp.orders TABLE people", "SELECT * INTO TEMP loot FROM people"},
			"", []string{"SELECT * FROM orders", "SELECT upper(email) FROM orders", "TABLE pg_temp.loot"}, "SELECT upper(item) FROM public.orders WHERE id = 1", "TEA"},
		{"temporary view", []string{"CREATE TEMP VIEW orders AS SELECT id, email AS item FROM people", "CREATE VIEW pg_temp.orders AS SELECT id, email AS item FROM people", "CREATE OR REPLACE TEMP VIEW orders (id, item) AS TABLE logins"},
			"", []string{"SELECT item FROM orders", "SELECT upper(item) FROM orders", "CREATE TEMP VIEW mine AS SELECT item FROM public.orders WHERE id = 1"}, "SELECT item FROM mine", "tea"},
		{"temporary table that hides a masked one", []string{"CREATE TEMP TABLE people (id int, name text, email text)", "INSERT INTO people VALUES (1, 'Zed', 'zed@new.example')"},
			"", []string{"SELECT email FROM public.people", "SELECT upper(email) FROM public.people", "SELECT p.email || '' FROM people t, public.people p"}, "SELECT upper(name) FROM public.people WHERE id = 1", "ADA"},
		{"temporary table under a prepared statement", []string{"prepare:SELECT item FROM orders", "run:", "CREATE TEMP TABLE orders (item text)", "run:", "DROP TABLE pg_temp.orders", "run:"}, "", []string{"run:"}, "SELECT item FROM orders WHERE id = 1", "tea"},
		{"schema of the user", []string{"CREATE SCHEMA AUTHORIZATION CURRENT_USER", "CREATE VIEW USER.orders AS SELECT id, email AS item FROM people", "CREATE TABLE USER.orders AS TABLE people", "CREATE SCHEMA IF NOT EXISTS USER CREATE VIEW orders AS SELECT email AS item FROM people"},
			"", []string{"SELECT * FROM orders", "SELECT item || '' FROM orders"}, "SELECT item FROM public.orders WHERE id = 1", "tea"},
		{"schema of the user behind the gateway", []string{"SELECT item FROM orders", "prepare:SELECT item FROM orders", "run:"}, "CREATE SCHEMA IF NOT EXISTS USER; CREATE VIEW USER.orders AS SELECT id, email AS item FROM public.people",
			[]string{"run:", "SELECT item FROM orders", "SELECT id, item FROM orders", "SELECT * FROM USER.orders", "SELECT * FROM orders"}, "SELECT item FROM public.orders WHERE id = 1", "tea"},
		{"moved", []string{"ALTER TABLE people SET SCHEMA other", "ALTER TABLE people RENAME TO folk", "ALTER TABLE people RENAME email TO mail", "ALTER VIEW people_view RENAME COLUMN email TO mail", "ALTER SCHEMA public RENAME TO private", "ALTER TABLE vips NO INHERIT people", "ALTER TABLE events DETACH PARTITION events_1"},
			"", []string{"SELECT * FROM folk", "SELECT mail FROM people", "SELECT * FROM vips", "SELECT * FROM events_1", "SELECT * FROM other.folk"}, "ALTER TABLE notes RENAME body TO said; SELECT count(said) FROM notes", "0"},
		{"view replaced behind the gateway", []string{"SELECT item FROM orders_view", "prepare:SELECT upper(item) FROM orders_view", "run:"}, "CREATE OR REPLACE VIEW orders_view AS SELECT id, email AS item FROM people",
			[]string{"SELECT id FROM orders_view", "SELECT id, item FROM orders_view WHERE true"}, "SELECT upper(item) FROM orders WHERE id = 1", "TEA"},
		{"view replaced", []string{"CREATE OR REPLACE VIEW orders_view AS SELECT id, email AS item FROM people", "CREATE OR REPLACE VIEW orders_view AS SELECT id, (SELECT max(email) FROM people) AS item FROM orders", "CREATE RULE \"_RETURN\" AS ON SELECT TO notes DO INSTEAD SELECT id, email AS body FROM people"},
			"", []string{"SELECT item FROM orders_view", "SELECT body FROM notes", "CREATE OR REPLACE VIEW orders_view AS SELECT id, upper(item) AS item FROM orders"}, "SELECT item FROM orders_view WHERE id = 1", "TEA"},
	}
}

func TestBypassByShadowing(t *testing.T) {
	for _, s := range shadowings() {
		t.Run(s.name, func(t *testing.T) {
			r := newRig(t, rigConfig{policy: maskedColumns(), setup: bypassSchema, proxy: pgproxy.Config{
				MaskKey: secret.New("key-for-the-bypass-tests-0123456789"), CatalogueMaxAge: time.Nanosecond,
			}})
			conn, wire := r.connectWatched(t)
			step := func(sql string) {
				sql = strings.ReplaceAll(sql, "USER.", pgx.Identifier{r.pg.User}.Sanitize()+".")
				rows, err := runStep(conn, sql)
				if found := wire.leaks(); len(found) > 0 {
					t.Errorf("%q leaked by %q: %q, %v", found, sql, rows, err)
					wire.forget()
				}
				if conn.IsClosed() {
					conn, wire = r.connectWatched(t)
				}
			}
			for _, sql := range s.steps {
				step(sql)
			}
			if s.behind != "" {
				r.pg.Exec(strings.NewReplacer("USER.", pgx.Identifier{r.pg.User}.Sanitize()+".", "USER;", pgx.Identifier{r.pg.User}.Sanitize()+";").Replace(s.behind))
			}
			for _, sql := range s.last {
				step(sql)
			}
			if got, err := runSimple(context.Background(), conn, s.twin); err != nil || joined(got) != s.want {
				t.Errorf("%s: %q, %v, want %q", s.twin, joined(got), err, s.want)
			}
		})
	}
}

// runStep runs a step of a shadowing.
func runStep(conn *pgx.Conn, step string) ([][]string, error) {
	ctx := context.Background()
	if sql, ok := strings.CutPrefix(step, "prepare:"); ok {
		_, err := conn.PgConn().Prepare(ctx, "shadowed", sql, nil)
		return nil, err
	}
	if step == "run:" {
		result := conn.PgConn().ExecPrepared(ctx, "shadowed", nil, nil, nil).Read()
		return cells(result.Rows), result.Err
	}
	return runSimple(ctx, conn, step)
}
