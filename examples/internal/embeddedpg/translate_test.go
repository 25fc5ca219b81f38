package embeddedpg

import (
	"strings"
	"testing"
)

func TestTranslate(t *testing.T) {
	for _, test := range []struct{ pg, lite string }{
		{"SELECT Email AS contact FROM public.Customers c WHERE id = $1", "select email as contact from main . customers c where id = ?1"},
		{`SELECT "Email" FROM customers -- a comment`, `select "Email" from customers`},
		{"SELECT /* a /* nested */ one */ 1", "select 1"},
		{`SELECT E'it\'s', $q$it's$q$`, `select 'it''s' , 'it''s'`},
		{"SELECT '5'::int + 1", "select CAST ( '5' AS INTEGER ) + 1"},
		{"SELECT c.id::text || 'x'", "select CAST ( c . id AS TEXT ) || 'x'"},
		{"SELECT lower(name)::text::varchar(3)", "select CAST ( CAST ( lower ( name ) AS TEXT ) AS TEXT )"},
		{"SELECT 1 WHERE (a + b)::int8 = 2", "select 1 where CAST ( ( a + b ) AS INTEGER ) = 2"},
		{"SELECT CAST(x AS date)", "select cast ( x AS TEXT )"},
		{"SELECT date '2026-01-31'", "select '2026-01-31'"},
		{"SELECT 1 WHERE EXISTS (SELECT FROM t WHERE a ~ '^x' AND b !~ 'y')", "select 1 where exists ( select 1 from t where a REGEXP '^x' and b NOT REGEXP 'y' )"},
		{"SELECT pg_catalog.version(), current_user", "select version ( ) , current_user ( )"},
	} {
		statements, err := parse(test.pg)
		if err != nil || len(statements) != 1 || statements[0].sql != test.lite {
			t.Errorf("%s\n got %v %v\nwant %s", test.pg, statements, err, test.lite)
		}
	}
}

func TestRefusedStatements(t *testing.T) {
	for sql, code := range map[string]string{
		"headgate refused a statement here":   "42601",
		"SELECT `a`":                          "42601",
		"SELECT [a]":                          "42601",
		"SELECT ?1":                           "42601",
		"SELECT @a":                           "42601",
		"SELECT 'open":                        "42601",
		"SELECT /* open":                      "42601",
		"SELECT $0":                           "42P02",
		"SELECT 'a' 'b'":                      "0A000",
		"SELECT 1 AS 'b'":                     "42601",
		"SELECT X'00'":                        "0A000",
		"SELECT 'x'::regclass":                "0A000",
		"SELECT 1)":                           "42601",
		"INSERT OR REPLACE INTO t VALUES (1)": "42601",
		"CREATE VIEW v AS SELECT 1":           "0A000",
		"CREATE TEMP TABLE t (a int)":         "0A000",
		"COPY t TO STDOUT":                    "0A000",
		"PRAGMA writable_schema = 1":          "42601",
		"ATTACH 'x' AS y":                     "42601",
		"SELECT \x00":                         "42601",
	} {
		if _, err := parse(sql); err == nil || problemOf(err).code != code {
			t.Errorf("%s: %v, want %s", sql, err, code)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"SELECT 1; SELECT 'a''b'::text", "$a$ $a$", `"x"."y"(`, "/*/**/", "1.e5", "::::", "cast(as)", "e'\\", "pg_catalog.x("} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		statements, err := parse(sql)
		if err != nil {
			return
		}
		for _, s := range statements {
			if strings.IndexByte(s.sql, 0) >= 0 {
				t.Fatalf("NUL in %q", s.sql)
			}
			if _, err := lex(s.sql); err != nil && s.params == 0 {
				t.Fatalf("%q became %q: %v", sql, s.sql, err)
			}
		}
	})
}
