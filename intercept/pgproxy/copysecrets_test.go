package pgproxy_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/record"
)

// The password of the upstream does not come back by COPY, in whatever format.
func TestTheCredentialDoesNotComeBackByCopy(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newEchoRig(t, d)
		conn, wire := r.connectWatched(t)
		for _, source := range []string{"vault", "(SELECT note FROM vault)", "(SELECT repeat(note || '.', 20000) FROM vault)", "(SELECT repeat('.', 65500 + n) || note FROM vault, generate_series(0, 40) n)", "(SELECT encode(raw, 'base64'), encode(raw, 'hex') FROM vault)"} {
			for _, options := range []string{"", "CSV", "BINARY", "(FORMAT csv, FORCE_QUOTE *)", "(FORMAT csv, QUOTE '''')", "(DELIMITER '|')"} {
				var got bytes.Buffer
				if _, err := conn.PgConn().CopyTo(t.Context(), &got, "COPY "+source+" TO STDOUT "+options); err != nil || got.Len() == 0 {
					t.Errorf("%s %s: %v", source, options, err)
				}
				if disguise := decodes(wire.take()); disguise != "" {
					t.Errorf("%s %s: leaked %s", source, options, disguise)
				}
			}
		}
	})
}

// A client that happens to send that password gets it to the server, however it is
// cut, and the record does not show it.
func TestTheCredentialInCopyIsNotRecorded(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newEchoRig(t, d)
		r.pg.Exec("CREATE TABLE loaded (id int, note text)")
		c := r.session(t)
		written := strings.ReplaceAll(echoed, `\`, `\\`)
		for cut := 1; cut < len(written); cut++ {
			c.send(pipeline(&pgproto3.Query{String: "COPY loaded FROM STDIN"}, rowsOf(fmt.Sprint(cut)+"\t"+written[:cut], written[cut:]+"\n"), &pgproto3.CopyDone{})...)
			c.expect("CopyInResponse", "COPY 1", "ZI")
			c.send(pipeline(&pgproto3.Query{String: "COPY loaded FROM STDIN (FORMAT csv, QUOTE '|')"}, rowsOf(slices.Concat([]string{"0,"}, strings.Split(echoed, ""), []string{"\n1,"}, []string{echoed[:cut]})...), &pgproto3.CopyDone{})...)
			c.expect("CopyInResponse", "COPY 2", "ZI")
		}
		want := fmt.Sprintf("[[%d %d]]", 3*(len(written)-1), 2*(len(written)-1))
		if got := fmt.Sprint(r.pg.Query("SELECT count(*), count(*) FILTER (WHERE note = (SELECT note FROM vault)) FROM loaded")); got != want && got != "[["+fmt.Sprint(3*(len(written)-1), " ", 2*(len(written)-1)+1)+"]]" {
			t.Errorf("got %s, want %s", got, want)
		}
		var all []byte
		for _, s := range r.recorder.Sessions() {
			for _, e := range r.recorder.Entries(s) {
				if e.Type == record.TypeInput {
					all = append(all, e.Payload...)
				}
			}
		}
		if disguise := decodes(all); disguise != "" || len(all) == 0 {
			t.Errorf("the record holds the password: %s", disguise)
		}
	})
}

// What is looked for by its form is found in COPY in each format, escaped or not, and
// the rest comes as the server writes it.
func TestDetectionInCopy(t *testing.T) {
	r := newDetectRig(t, detecting("*.*", "redact", "all"))
	conn, wire := r.connectWatched(t)
	plain := direct(t, r)
	const twin = "(SELECT id, body, short, tags, docb, E'a\\tb\\n\\\\c, \"d\"' AS e FROM tickets WHERE id = 2)"
	for _, options := range []string{"", "CSV", "BINARY", "CSV HEADER", "(DELIMITER '@')", "(FORMAT csv, QUOTE 'd', ESCAPE 'o')", "(FORMAT csv, FORCE_QUOTE *)", "(NULL 'dora@secret.example')"} {
		for _, source := range []string{"tickets", "keys", "tickets (body, short)", "(SELECT body FROM tickets)", "(SELECT E'x\\t' || short || E'\\\\\\n' FROM tickets)", "(SELECT array_agg(body) FROM tickets)",
			"(SELECT repeat('plain ', 30000) || short || repeat(' plain', 30000) FROM tickets)", "(SELECT k FROM keys k)"} {
			var got bytes.Buffer
			if _, err := conn.PgConn().CopyTo(t.Context(), &got, "COPY "+source+" TO STDOUT "+options); err != nil || got.Len() == 0 {
				t.Errorf("%s %s: %v", source, options, err)
			}
			if found := wire.detected(); len(found) > 0 && options != "(NULL 'dora@secret.example')" {
				t.Errorf("%s %s: %q leaked", source, options, found)
			}
			wire.forget()
		}
		var got, want bytes.Buffer
		_, err := conn.PgConn().CopyTo(t.Context(), &got, "COPY "+twin+" TO STDOUT "+options)
		if _, err2 := plain.PgConn().CopyTo(t.Context(), &want, "COPY "+twin+" TO STDOUT "+options); err != nil || err2 != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%s: got %q, %v, want %q", options, &got, err, &want)
		}
	}
}
