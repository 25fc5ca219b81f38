package pgproxy_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

// The server's fixed texts pass where others could quote a masked value, and can't
// be forged.
func TestFixedTextsPassUnderMasks(t *testing.T) {
	r := newRig(t, rigConfig{policy: maskedColumns(), proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}, setup: bypassSchema + `;
CREATE FUNCTION stop(t text, state text) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = t, DETAIL = t, HINT = t; END $$`})
	c := r.session(t)
	c.query("SET statement_timeout = '30ms'", "SET", "ZI")
	for sql, want := range map[string]string{
		"SELECT email FROM people, pg_sleep(60)":                       "canceling statement due to statement timeout",
		"SELECT stop(email, '57014') FROM people":                      "details are withheld",
		"SELECT stop('ProcessInterrupts', '57P01'), email FROM people": "details are withheld",
		"SELECT email::int FROM people":                                "details are withheld",
	} {
		c.send(&pgproto3.Query{String: sql})
		for {
			if e, ok := c.next().(*pgproto3.ErrorResponse); ok {
				if !strings.HasPrefix(e.Message, want) || e.Detail != "" || e.Hint != "" || e.Where != "" {
					t.Errorf("%s: %+v", sql, e)
				}
				break
			}
		}
		c.expect("ZI")
	}
}
