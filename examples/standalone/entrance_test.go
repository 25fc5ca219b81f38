package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/examples/internal/embeddedpg"
)

// TestEntrance: one address leads to two databases by the name that clients ask
// for, and nowhere else.
func TestEntrance(t *testing.T) {
	s := newSite(t)
	other, err := embeddedpg.Start(embeddedpg.Config{User: "app", Password: dbPassword, Database: "depot", Script: "CREATE TABLE shelves (id integer PRIMARY KEY)"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	shop := strings.ReplaceAll(string(text), "    listen: 127.0.0.1:0\n", "    propagate: {application_name: true}\n")
	s.write(t, "gateway.yaml", shop+fmt.Sprintf(`  - name: depot
    upstream: %s
    upstream_tls: {mode: disable}
    database: depot
    credential: {source: file, path: %s/db.password, username: app}
entrances:
  - listen: 127.0.0.1:0
    routes: [{route: shop, databases: [shop]}, {route: depot, databases: [depot, warehouse]}]
`, other.Addr(), s.dir))
	addr, _ := s.start(t)
	for database, sql := range map[string]string{
		"shop": "SELECT id FROM customers", "depot": "SELECT id FROM shelves", "warehouse": "SELECT id FROM shelves", "nowhere": "",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		conn, err := pgx.Connect(ctx, "postgres://whoever:"+agentToken+"@"+addr.String()+"/"+database+"?sslmode=disable")
		if sql == "" {
			if err == nil {
				t.Error(database, "leads somewhere")
			}
			cancel()
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", database, err, s.logs.String())
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Error(database, err)
		}
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}
