package pgproxy_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
)

// TestHeldForSlowReaders has a client not read a row that had to be held. What it
// takes counts until the client has read it: another such row is refused, shorter
// ones are not, and afterwards there is room again.
func TestHeldForSlowReaders(t *testing.T) {
	const size = 40 << 20
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{
			policy: masking("public.giants.masked:redact"), recorder: forgetting(), driver: d, setup: giantSchema,
			proxy: pgproxy.Config{MaxHeldBytes: 3 * size / 2},
		})
		for id, length := range map[int]int{1: size, 2: 1 << 20} {
			r.pg.Exec(fmt.Sprintf("INSERT INTO giants VALUES (%d, repeat('p', %d), 'canary', 1)", id, length))
		}
		const long, short = "SELECT plain, masked FROM giants WHERE id = 1", "SELECT plain, masked FROM giants WHERE id = 2"
		slow := r.session(t)
		slow.send(&pgproto3.Query{String: long})
		r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query LIKE 'SELECT plain, masked%'", "1")
		for range 2 {
			refused := r.session(t)
			refused.send(&pgproto3.Query{String: long})
			if got := refused.end(); !strings.HasSuffix(strings.Join(got, " "), "FATAL 54000") {
				t.Fatalf("beside a slow reader: got %.100q", got)
			}
			if cells, _, leaks := r.session(t).drain(short, 0); cells[0] != 1<<20 || leaks != 0 {
				t.Fatalf("a short row has cells of %d, %d leaks", cells, leaks)
			}
		}
		got := slow.until(1)
		if len(got) != 4 || len(got[1]) != len("row ,[redacted]")+size {
			t.Fatalf("the slow reader got %d messages", len(got))
		}
		if cells, _, leaks := r.session(t).drain(long, 0); cells[0] != size || leaks != 0 {
			t.Fatalf("afterwards: cells of %d, %d leaks", cells, leaks)
		}
	})
}

// TestParametersAreBounded sends long parameters over and over again without ever
// asking for the answers: what is kept of them is bounded, in the queue and by name.
func TestParametersAreBounded(t *testing.T) {
	const size, times = 4 << 20, 60
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, recorder: forgetting()})
		value := [][]byte{bytes.Repeat([]byte{'x'}, size)}
		for _, named := range []bool{false, true} {
			c := r.session(t)
			grown := peak(func() {
				c.send(&pgproto3.Parse{Query: "SELECT length($1::text)"})
				for i := range times {
					portal := ""
					if named {
						portal = fmt.Sprint("p", i)
					}
					c.send(&pgproto3.Bind{DestinationPortal: portal, Parameters: value})
				}
				c.send(&pgproto3.Execute{}, &pgproto3.Sync{})
				got := c.until(1)
				if !named && got[len(got)-2] != "SELECT 1" || named && got[len(got)-2] != "ERROR 54000" {
					t.Errorf("named %v: got %q", named, got)
				}
			})
			if most := uint64(200 << 20); grown > most {
				t.Errorf("named %v: the heap has grown by %d MiB", named, grown>>20)
			}
			c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
		}
	})
}
