package pgproxy_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
)

// describes returns the names in a RowDescription beside what short says.
func (w *rawClient) answers(ready int) []string {
	w.t.Helper()
	var got []string
	for ready > 0 {
		switch m := w.next().(type) {
		case *pgproto3.ReadyForQuery:
			ready--
			got = append(got, short(m))
		case *pgproto3.RowDescription:
			said := fmt.Sprint("columns ", len(m.Fields))
			for _, f := range m.Fields {
				said += fmt.Sprintf(" %s/%d/%d", f.Name, f.DataTypeOID, f.Format)
			}
			got = append(got, said)
		case *pgproto3.ParameterDescription:
			got = append(got, fmt.Sprint("parameters ", len(m.ParameterOIDs)))
		case *pgproto3.ErrorResponse:
			got = append(got, fmt.Sprint(short(m), m.Message, m.Position))
		default:
			got = append(got, short(m))
		}
	}
	return got
}

// numbered returns format applied to 1 … n, with commas between.
func numbered(format string, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i+1)
	}
	return strings.Join(parts, ",")
}

// TestEdges sends what is at the edges of the protocol, and gets what the server says.
func TestEdges(t *testing.T) {
	long, longer := strings.Repeat("n", 63), strings.Repeat("n", 64)
	multibyte := strings.Repeat("n", 62) + "é" // cut within a character, were it cut by bytes
	many := make([][]byte, 65535)
	for i := range many {
		many[i] = []byte("1")
	}
	one := func(text string) burst { return simple(text) }
	cases := map[string]burst{
		"empty":                     one(""),
		"spaces":                    one(" \n\t "),
		"semicolons":                one(";;;"),
		"a comment":                 one("-- nothing"),
		"comments":                  one("/* a /* b */ */ -- c\n;/* d */"),
		"no column":                 one("SELECT"),
		"no column, rows":           one("SELECT FROM generate_series(1, 3)"),
		"no column of a table":      one("SELECT FROM items"),
		"a table without columns":   one("CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; SELECT * FROM bare; TABLE bare; DROP TABLE bare"),
		"empty between":             one("SELECT 1;; SELECT 2;"),
		"63 bytes":                  one("CREATE TABLE " + long + " (a int); SELECT a AS " + long + " FROM " + long + "; DROP TABLE " + long),
		"64 bytes":                  one("CREATE TABLE " + longer + " (a int); SELECT a AS " + longer + " FROM " + longer + "; DROP TABLE " + longer),
		"a character at the end":    one("SELECT 1 AS " + multibyte),
		"1600 columns":              one("CREATE TABLE wide (" + numbered("c%d int", 1600) + "); INSERT INTO wide (c1600) VALUES (7); SELECT * FROM wide; DROP TABLE wide"),
		"1601 columns":              one("CREATE TABLE wide (" + numbered("c%d int", 1601) + ")"),
		"1664 results":              one("SELECT " + numbered("%d", 1664)),
		"1665 results":              one("SELECT " + numbered("%d", 1665)),
		"invalid UTF-8":             one("SELECT 'a\xffb'"),
		"overlong NUL":              one("SELECT 'a\xc0\x80b'"),
		"a surrogate":               one("SELECT 'a\xed\xa0\x80b'"),
		"a character cut":           one("SELECT 1 -- \xe2\x82"),
		"beyond Unicode":            one("SELECT '\xf4\x90\x80\x80'"),
		"noncharacters":             one("SELECT '\ufffe\uffff\U0010ffff'"),
		"a byte order mark":         one("\ufeffSELECT 1"),
		"no-break space":            one("SELECT\u00a01"),
		"control characters":        one("SELECT '\x01\x02\x7f', E'\\x01'"),
		"form feed, vertical tab":   one("SELECT\f1\v+ 1"),
		"empty Parse":               synced(pipeline("")...),
		"a comment, Parse":          synced(&pgproto3.Parse{Query: "/* c */"}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}),
		"no column, Parse":          synced(&pgproto3.Parse{Query: "SELECT FROM items"}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}),
		"two in a Parse":            synced(pipeline("SELECT 1; SELECT 2")...),
		"65535 parameters":          synced(&pgproto3.Parse{Query: "SELECT $65535::int"}, &pgproto3.Bind{Parameters: many}, &pgproto3.Execute{}),
		"65535 parameters, used":    synced(&pgproto3.Parse{Query: "SELECT count(*) FROM (VALUES (" + strings.ReplaceAll(numbered("$%d::int", 65535), ",", "),(") + ")) v"}, &pgproto3.Bind{Parameters: many}, &pgproto3.Execute{}),
		"65536th parameter":         synced(&pgproto3.Parse{Query: "SELECT $65536::int"}, &pgproto3.Describe{ObjectType: 'S'}),
		"parameter 0":               synced(&pgproto3.Parse{Query: "SELECT $0::int"}),
		"too few parameters":        synced(&pgproto3.Parse{Query: "SELECT $2::int"}, &pgproto3.Bind{Parameters: many[:1]}, &pgproto3.Execute{}),
		"too many parameters":       synced(&pgproto3.Parse{Query: "SELECT $1::int"}, &pgproto3.Bind{Parameters: many[:2]}, &pgproto3.Execute{}),
		"parameter invalid UTF-8":   synced(&pgproto3.Parse{Query: "SELECT $1::text"}, &pgproto3.Bind{Parameters: [][]byte{{'a', 0xff}}}, &pgproto3.Execute{}),
		"parameter with NUL":        synced(&pgproto3.Parse{Query: "SELECT $1::text"}, &pgproto3.Bind{Parameters: [][]byte{{'a', 0, 'b'}}}, &pgproto3.Execute{}),
		"binary parameter with NUL": synced(&pgproto3.Parse{Query: "SELECT $1::text"}, &pgproto3.Bind{ParameterFormatCodes: []int16{1}, Parameters: [][]byte{{'a', 0, 'b'}}}, &pgproto3.Execute{}),
		"three result formats":      synced(&pgproto3.Parse{Query: "SELECT 1, 2"}, &pgproto3.Bind{ResultFormatCodes: []int16{0, 1, 0}}, &pgproto3.Execute{}),
		"name of 63 bytes":          synced(&pgproto3.Parse{Name: long, Query: "SELECT 1"}, &pgproto3.Bind{PreparedStatement: long, DestinationPortal: long}, &pgproto3.Execute{Portal: long}, &pgproto3.Close{ObjectType: 'S', Name: long}),
		"Execute with no limit":     synced(&pgproto3.Parse{Query: "SELECT generate_series(1, 3)"}, &pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 1<<32 - 1}),
		"Execute up to 2":           synced(&pgproto3.Parse{Query: "SELECT generate_series(1, 3)"}, &pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 2}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Execute{MaxRows: 1}),
	}
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: itemsSetup})
		through, straight := r.session(t), r.directSession(t)
		for name, b := range cases {
			run := func(c *rawClient) []string {
				c.send(b.messages...)
				return c.answers(b.ready)
			}
			want := run(straight)
			got := run(through)
			if strings.HasPrefix(want[0], "ERROR 22021invalid byte sequence") && strings.HasPrefix(got[0], "ERROR 42601headgate: statement is not valid UTF-8") {
				continue // a refusal in other words
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got\n%.300q\nwant\n%.300q", name, got, want)
			}
		}
	})
}

// TestMessageOfTheGreatestLength sends messages of exactly the greatest length, which
// is that of a body, and of one byte more.
func TestMessageOfTheGreatestLength(t *testing.T) {
	const most, text = 100_000, 60_000
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, proxy: pgproxy.Config{MaxMessageBytes: most, MaxStatementBytes: text}})
		c := r.session(t)
		sized := func(n int) string { return "SELECT 1 --" + strings.Repeat("x", n-len("SELECT 1 --")) }
		answer := []string{"RowDescription", "row 1", "SELECT 1", "ZI"}
		refused := []string{"ERROR 54000", "ZI"}
		c.query(sized(text), answer...)
		c.query(sized(text+1), refused...)
		c.query(sized(most-1), refused...)
		c.query(sized(most), refused...)
		for extra, want := range [][]string{{"ParseComplete", "BindComplete", "row 1", "SELECT 1", "ZI"}, {"ParseComplete", "ERROR 54000", "ZI"}} {
			const around = 14 // of a Bind's body, beside its one parameter
			c.send(&pgproto3.Parse{Query: "SELECT 1 WHERE $1::text <> ''"},
				&pgproto3.Bind{Parameters: [][]byte{bytes.Repeat([]byte("x"), most-around+extra)}, ParameterFormatCodes: []int16{0}}, &pgproto3.Execute{}, &pgproto3.Sync{})
			c.expect(want...)
		}
		c.query("SELECT 1", answer...)
	})
}

// TestManyStatements sends so many statements in one text that what is found out
// about them fills more than an entry of the record.
func TestManyStatements(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: itemsSetup})
		c := r.session(t)
		c.send(&pgproto3.Query{String: strings.Repeat("TABLE items;", 8_000)})
		if got := c.until(1); len(got) < 8_000 || got[len(got)-1] != "ZI" {
			t.Errorf("%d answers, the last is %q", len(got), got[len(got)-1])
		}
		c.query(strings.Repeat("TABLE items;", 32_000), "ERROR 54000", "ZI")
		c.send(pipeline(insert, &pgproto3.Query{String: strings.Repeat("TABLE items;", 32_000)})...)
		c.expect(append(ran("INSERT 0 1"), "ERROR 54000", "ZI")...)
		r.wantItems("10")
		c.query("SELECT 1", "RowDescription", "row 1", "SELECT 1", "ZI")
	})
}
