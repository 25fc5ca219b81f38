package pgproxy_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy/secret"
)

const typesSchema = `CREATE TYPE mood AS ENUM ('calm', 'canary-mood'); CREATE DOMAIN mail AS varchar(40) NOT NULL CHECK (length(value) > 2);
	CREATE TYPE inner_t AS (a text, m mood); CREATE TYPE outer_t AS (n int, i inner_t, l text[], ms mail[]);
	CREATE TYPE textrange AS RANGE (subtype = text);
	CREATE TABLE typed (id int, c_mood mood, c_moods mood[], c_mail mail, c_mails mail[], c_outer outer_t, c_outers outer_t[], c_range textrange,
		c_ranges textrange[], c_multi textmultirange, c_class regclass, c_vector int2vector, c_snapshot pg_snapshot, c_doc jsonb, c_docs json[]);
	INSERT INTO typed VALUES (1, 'canary-mood', '{canary-mood,NULL}', 'canary-mail', '{canary-mail}', '(7,"(""canary, a"",canary-mood)","{canary,NULL}","{canary-mail}")',
		ARRAY['(7,"(""canary"",)",,)'::outer_t, NULL], '[canary-a,canary-b)', '{"[canary-a,canary-b)"}', '{[canary-a,canary-b)}', 'typed', '7 8', '7:8:7', '{"k": "canary-doc"}', '{"{\"k\": \"canary-doc\"}"}')`

// TestTypesOfUsersAreMasked has the server take each masked value back, in both
// formats.
func TestTypesOfUsersAreMasked(t *testing.T) {
	want := map[string]string{
		"c_mood": "calm", "c_moods": "{calm,NULL}", "c_mail": "[redacted]", "c_mails": "{[redacted]}",
		"c_outer": `(0,"([redacted],calm)","{[redacted],NULL}",{[redacted]})`, "c_outers": `{"(0,\"([redacted],)\",,)",NULL}`,
		"c_range": "empty", "c_ranges": "{empty}", "c_multi": "{}", "c_class": "-", "c_vector": "0", "c_snapshot": "1:1:",
		"c_doc": `{"k": "[redacted]"}`, "c_docs": `{"{\"k\": \"[redacted]\"}"}`,
	}
	r := newRig(t, rigConfig{
		policy: masking("public.typed.*:redact"), setup: typesSchema,
		proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")},
	})
	conn, wire := r.connectWatched(t)
	for column, text := range want {
		for format := range int16(2) {
			result := conn.PgConn().ExecParams(t.Context(), "SELECT "+column+" FROM typed", nil, nil, nil, []int16{format}).Read()
			if result.Err != nil || len(result.Rows) != 1 {
				t.Fatalf("%s: %v", column, result.Err)
			}
			back := conn.PgConn().ExecParams(t.Context(), fmt.Sprintf("SELECT $1::%s", r.typeOf(column)), [][]byte{result.Rows[0][0]},
				nil, []int16{format}, nil).Read()
			if back.Err != nil || len(back.Rows) != 1 || string(back.Rows[0][0]) != text {
				t.Errorf("%s in format %d: %q became %q, %v, want %q", column, format, result.Rows[0][0], back.Rows, back.Err, text)
			}
		}
	}
	if bytes.Contains(wire.got, []byte("canary")) {
		t.Errorf("leaked: %q", wire.got)
	}
}

// typeOf is the type of a column of typed.
func (r *rig) typeOf(column string) string {
	return r.pg.Query("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'typed'::regclass AND attname = '" + column + "'")[0][0]
}

// TestComputedValuesHaveNoStructure spells a masked value in lengths and NULLs.
func TestComputedValuesHaveNoStructure(t *testing.T) {
	r := newBypassRig(t, maskedColumns())
	conn, _ := r.connectWatched(t)
	for _, expression := range []string{
		"CASE WHEN email LIKE '%s' THEN 1 END", "nullif(email LIKE '%s', true)", "CASE WHEN email LIKE '%s' THEN ARRAY[1] END", "array_fill(1, ARRAY[CASE WHEN email LIKE '%s' THEN 3 ELSE 4 END])",
		"ROW(CASE WHEN email LIKE '%s' THEN 1 END, 2, '')::orders", "ARRAY[CASE WHEN email LIKE '%s' THEN 1 END]", "to_json(CASE WHEN email LIKE '%s' THEN 1 END)",
	} {
		for format := range int16(2) {
			var got [2]string
			for i, pattern := range []string{"canary%", "x%"} {
				sql := "SELECT " + fmt.Sprintf(expression, pattern) + " FROM people WHERE id = 1"
				result := conn.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, []int16{format}).Read()
				if result.Err != nil || len(result.Rows) != 1 {
					t.Fatalf("%s: %v", sql, result.Err)
				}
				got[i] = fmt.Sprintf("%q %v", result.Rows[0][0], result.Rows[0][0] == nil)
			}
			if got[0] != got[1] {
				t.Errorf("%s in format %d tells values apart: %s, %s", expression, format, got[0], got[1])
			}
		}
	}
	rows, err := runSimple(t.Context(), conn, "SELECT CASE WHEN age > 0 THEN ARRAY[1] END, nullif(age, 41) IS NULL FROM people WHERE id = 1")
	if err != nil || joined(rows) != "{1},t" {
		t.Errorf("plain columns: %q, %v", joined(rows), err)
	}
}
