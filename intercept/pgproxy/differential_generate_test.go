package pgproxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// sequence is what a client sends: groups of messages, each in one write.
type sequence struct {
	groups [][]byte
	// lockstep says that each group is answered by one ReadyForQuery, which is
	// waited for.
	lockstep bool
	said     []string
}

func (s *sequence) String() string { return strings.Join(s.said, "\n") }

// generator makes a sequence out of choices.
type generator struct {
	choose func(n int) int
	*sequence
	group []byte
}

// generate makes a sequence; choose returns a number below its argument.
func generate(choose func(n int) int) *sequence {
	g := &generator{choose: choose, sequence: new(sequence)}
	g.lockstep = choose(3) > 0
	for range 3 + choose(12) {
		g.batch()
	}
	if !g.lockstep {
		g.add(&pgproto3.Sync{})
	}
	g.add(&pgproto3.Terminate{}) // nothing answers it: it goes with the group before
	last := max(0, len(g.groups)-1)
	g.groups = append(g.groups[:last], append(bytes.Join(g.groups[last:], nil), g.group...))
	return g.sequence
}

func (g *generator) add(m pgproto3.FrontendMessage) {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err)
	}
	g.said = append(g.said, strings.TrimPrefix(fmt.Sprintf("%T%+v", m, m), "*pgproto3."))
	g.group = append(g.group, b...)
}

// flush ends a group. Out of step, groups are cut anywhere.
func (g *generator) flush() {
	b := g.group
	g.group = nil
	for !g.lockstep && len(b) > 1 && g.choose(2) == 0 {
		n := 1 + g.choose(min(len(b)-1, 200))
		g.groups = append(g.groups, b[:n:n])
		b = b[n:]
	}
	if len(b) > 0 {
		g.groups = append(g.groups, b)
	}
}

// batch is one simple Query or messages of the extended protocol up to a Sync.
func (g *generator) batch() {
	if g.choose(2) == 0 {
		g.add(&pgproto3.Query{String: g.text()})
		g.flush()
		return
	}
	if g.choose(4) == 0 {
		g.add(g.functionCall())
		g.flush()
		return
	}
	for range 1 + g.choose(5) {
		g.step()
	}
	if !g.lockstep && g.choose(6) == 0 {
		g.add(&pgproto3.Query{String: g.text()})
		return
	}
	if !g.lockstep && g.choose(6) == 0 {
		g.add(g.functionCall())
		return
	}
	g.add(&pgproto3.Sync{})
	g.flush()
}

// step is a usual run of extended messages, or one of them out of order.
func (g *generator) step() {
	switch g.choose(10) {
	case 0:
		g.add(&pgproto3.Parse{Name: g.name(), Query: g.parametrised(), ParameterOIDs: g.types()})
	case 1:
		g.add(g.bind())
	case 2:
		g.add(&pgproto3.Describe{ObjectType: "SP"[g.choose(2)], Name: g.name()})
	case 3:
		g.add(&pgproto3.Execute{Portal: g.name(), MaxRows: uint32(g.choose(4))})
	case 4:
		g.add(&pgproto3.Close{ObjectType: "SP"[g.choose(2)], Name: g.name()})
	case 5:
		g.add(&pgproto3.Flush{})
	default:
		g.run()
	}
}

// run prepares, binds and runs a statement as drivers do.
func (g *generator) run() {
	name, portal := g.name(), g.name()
	if g.choose(4) > 0 {
		name, portal = "", ""
	}
	g.add(&pgproto3.Parse{Name: name, Query: g.statement()})
	if g.choose(3) == 0 {
		g.add(&pgproto3.Describe{ObjectType: 'S', Name: name})
	}
	g.add(&pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name, ResultFormatCodes: g.formats()})
	if g.choose(2) == 0 {
		g.add(&pgproto3.Describe{ObjectType: 'P', Name: portal})
	}
	limit := uint32(g.choose(3))
	g.add(&pgproto3.Execute{Portal: portal, MaxRows: limit})
	if limit > 0 && g.choose(2) == 0 {
		g.add(&pgproto3.Execute{Portal: portal, MaxRows: uint32(g.choose(3))})
	}
}

func (g *generator) bind() *pgproto3.Bind {
	b := &pgproto3.Bind{DestinationPortal: g.name(), PreparedStatement: g.name(), ResultFormatCodes: g.formats()}
	for range g.choose(3) {
		binary4 := binary.BigEndian.AppendUint32(nil, uint32(g.choose(20)))
		b.Parameters = append(b.Parameters, [][]byte{[]byte("1"), []byte("2"), nil, []byte("x"), binary4, []byte("")}[g.choose(6)])
	}
	if g.choose(3) == 0 {
		for range b.Parameters {
			b.ParameterFormatCodes = append(b.ParameterFormatCodes, int16(g.choose(2)))
		}
	}
	return b
}

// functionCall calls a built-in function by its OID, or none, with arguments that it
// may not have.
func (g *generator) functionCall() *pgproto3.FunctionCall {
	m := &pgproto3.FunctionCall{Function: builtinCalls[g.choose(len(builtinCalls))], ResultFormatCode: uint16(g.choose(2))}
	for range g.choose(4) {
		small := binary.BigEndian.AppendUint32(nil, uint32(g.choose(3)))
		m.Arguments = append(m.Arguments, [][]byte{[]byte("4711"), []byte("131072"), []byte("x"), nil, small, []byte("0"), []byte("-1"), {0, 0, 0x12, 0x67}, {}}[g.choose(9)])
	}
	switch g.choose(3) {
	case 0:
		m.ArgFormatCodes = []uint16{uint16(g.choose(2))}
	case 1:
		for range m.Arguments {
			m.ArgFormatCodes = append(m.ArgFormatCodes, uint16(g.choose(2)))
		}
	}
	return m
}

// builtinCalls are int4pl, int4div, reverse, repeat, upper, textcat, abs, lo_create,
// lo_open, loread, lowrite, lo_lseek, lo_close, lo_unlink, lo_truncate, nextval, lastval,
// pg_notify, array_append, count, generate_series, current_setting, version's number
// of arguments, and what does not exist.
var builtinCalls = []uint32{177, 154, 3062, 1622, 871, 1258, 1397, 715, 952, 954, 955, 956, 953, 964, 1004, 1574, 2559, 3036, 378, 2803, 1067, 2077, 89, 0, 7, 99999}

func (g *generator) formats() []int16 {
	switch g.choose(5) {
	case 0:
		return []int16{1}
	case 1:
		return []int16{0}
	case 2:
		return []int16{int16(g.choose(2)), int16(g.choose(2))}
	default:
		return nil
	}
}

func (g *generator) types() []uint32 {
	if g.choose(3) > 0 {
		return nil
	}
	return []uint32{[]uint32{23, 25, 20, 0, 1700, 17, 99999999}[g.choose(7)]}
}

func (g *generator) name() string {
	return []string{"", "", "a", "b", "cursor", "no such"}[g.choose(6)]
}

// text is the text of a simple Query.
func (g *generator) text() string {
	var all []string
	for range 1 + max(0, g.choose(5)-2) {
		all = append(all, g.statement())
	}
	return strings.Join(all, ";")
}

func (g *generator) parametrised() string {
	return g.pick(
		"SELECT $1::int + 1", "SELECT s, $1::text FROM t WHERE id = $2", "INSERT INTO t (id, s) VALUES ($1, $2)",
		"UPDATE t SET s = $1 WHERE id = $2 RETURNING id, s", "SELECT * FROM t WHERE id < $1 ORDER BY id", "SELECT $1",
		"DELETE FROM u WHERE k = $1", "SELECT $3::int", "SELECT no_such_column, $1", "SELECT id FROM t ORDER BY id", "SELECT $1::int[] || a FROM u ORDER BY k",
	)
}

func (g *generator) pick(from ...string) string { return from[g.choose(len(from))] }

// statement is any statement without parameters.
func (g *generator) statement() string {
	text := g.pick(reads, writes, faults, transactions, session, cursors, definitions)
	s := g.pick(strings.Split(strings.TrimSpace(text), "\n")...)
	for strings.Contains(s, "#") {
		s = strings.Replace(s, "#", fmt.Sprint(g.choose(25)), 1)
	}
	return s
}

const reads = `
SELECT # AS x
SELECT id, s, n FROM t WHERE id < # ORDER BY id
SELECT * FROM v ORDER BY id
SELECT *, t.*, ctid FROM t ORDER BY id LIMIT 3
SELECT a, b FROM u ORDER BY k
SELECT count(*), sum(n), array_agg(id ORDER BY id) FROM t
SELECT repeat('long ', 5000)
SELECT NULL::text, true, 1.5::float8, 'x'::mood, '2020-01-01'::date
SELECT row(1, 'a'), t FROM t WHERE id = 1
SELECT FROM t WHERE id < 3
VALUES (1, 'a'), (2, 'b')
TABLE v
SELECT generate_series(1, #)
SELECT talk(#)
SELECT nextval('q'), currval('q')
SELECT version() IS NULL, current_setting('server_version_num')::int > 0
SELECT 'ünïcödé ✓', U&'d\0061t', $$a'b$$, E'a\tb'
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE id = #
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT id FROM t WHERE id = #
SELECT /* a comment */ 1 -- at the end
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < #) SELECT sum(i) FROM r
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1
SELECT to_jsonb(t) FROM t WHERE id = 2
SELECT x FROM json_array_elements('[1,2]') x`

const writes = `
INSERT INTO t (id, s) VALUES (100 + #, 'new') RETURNING *
INSERT INTO t (id) VALUES (#)
INSERT INTO t (id) VALUES (#) ON CONFLICT DO NOTHING
INSERT INTO t (id) SELECT 200 + i FROM generate_series(1, #) i
UPDATE t SET n = n + 1 WHERE id < #
UPDATE t SET s = NULL WHERE id = #
DELETE FROM u WHERE k = # RETURNING k, b
DELETE FROM t WHERE id = #
INSERT INTO u VALUES (1000 + #)
TRUNCATE u
WITH d AS (DELETE FROM u RETURNING k) SELECT count(*) FROM d
MERGE INTO t USING (SELECT # AS id) x ON x.id = t.id WHEN MATCHED THEN UPDATE SET s = 'merged' WHEN NOT MATCHED THEN INSERT (id) VALUES (x.id)`

const faults = `
SELECT 1/0
SELECT no_such_column FROM t
SELECT no_such_function(1)
SELECT * FROM no_such_table
SELECT 'x'::int
SELECT 'ü' || no_such_column FROM t
SELEC 1
SELECT FROM WHERE
SELECT 'unterminated
SELECT 'ünïcödé' WHEN
SELECT 1 1
SELECT "unterminated
SELECT $tag$ open
SELECT /* open
SELECT 1 FROM t LIMIT 1, 2
SELECT ""
SELECT U&'\zzzz'
SELECT E'\xZZ'
SELECT 1e
SELECT 0xG
SELECT 1a
SELECT @
)
SELECT (1
CREATE TABLE x (a int, CHECK)
SELECT * FROM t WHERE id = ANY (
INSERT INTO t
GRANT nothing
VACUUM t
CREATE DATABASE
SELECT 99999999999999999999::int
SELECT id FROM t GROUP BY s
SELECT sum(sum(n)) FROM t
SELECT t.id FROM t AS x
SELECT array[1, 'x']
SELECT set_config('no.such', 'x', false), current_setting('no such setting')`

const transactions = `
BEGIN
BEGIN
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
COMMIT
COMMIT
ROLLBACK
ROLLBACK
COMMIT AND CHAIN
SAVEPOINT a
SAVEPOINT a
RELEASE a
ROLLBACK TO a
ROLLBACK TO SAVEPOINT b
SET TRANSACTION READ ONLY
SET CONSTRAINTS ALL IMMEDIATE
PREPARE TRANSACTION 'x'
START TRANSACTION
END
ABORT`

const session = `
SET application_name = 'app #'
SHOW application_name
RESET application_name
SET LOCAL application_name = 'local'
SET DateStyle = 'German'
SHOW DateStyle
RESET ALL
SET no_such_setting = 1
SET extra_float_digits = 9999
SHOW ALL_OF_IT
LISTEN c
UNLISTEN *
NOTIFY c, 'payload #'
NOTIFY c
SELECT pg_notify('c', 'by function')
PREPARE a AS SELECT id, s FROM t WHERE id = $1
PREPARE b (int) AS INSERT INTO t (id) VALUES ($1) RETURNING id
PREPARE a AS SELECT nothing
EXECUTE a(#)
EXECUTE b(#)
EXECUTE a
DEALLOCATE a
DEALLOCATE ALL
DISCARD ALL
DISCARD PLANS
SET timezone = 'Europe/Berlin'
SET client_min_messages = 'debug1'
SET client_min_messages = 'error'
SET work_mem = '4MB'`

// cursors have names of their own: an Execute of an SQL cursor is not carried.
const cursors = `
DECLARE moving CURSOR FOR SELECT id, s FROM t ORDER BY id
DECLARE moving SCROLL CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id
DECLARE bin BINARY CURSOR FOR SELECT id, b FROM t LEFT JOIN u ON k = id ORDER BY id
FETCH moving
FETCH 3 FROM moving
FETCH ALL moving
FETCH BACKWARD 1 FROM moving
MOVE 2 IN moving
FETCH 2 bin
CLOSE moving
CLOSE ALL
UPDATE t SET s = 'here' WHERE CURRENT OF moving`

const definitions = `
CREATE TABLE x (a int PRIMARY KEY, b text)
CREATE TEMP TABLE x (a int)
CREATE TEMP TABLE t (only_here int)
DROP TABLE x
DROP TABLE IF EXISTS x
ALTER TABLE t ADD COLUMN extra int DEFAULT #
ALTER TABLE t ADD COLUMN extra int
ALTER TABLE t DROP COLUMN n
ALTER TABLE t ALTER COLUMN s TYPE varchar(100)
CREATE INDEX ON t (s)
CREATE VIEW w AS SELECT * FROM t
DROP VIEW v
DROP TABLE t
DROP TABLE t CASCADE
CREATE TABLE y AS SELECT * FROM t
SELECT * INTO z FROM t
CREATE OR REPLACE FUNCTION talk(x int) RETURNS int LANGUAGE sql AS 'SELECT x * 2'
COMMENT ON TABLE t IS 'commented'
COMMENT ON TABLE t IS 'other''s'
GRANT SELECT ON t TO PUBLIC
CREATE TRIGGER none BEFORE INSERT ON t EXECUTE FUNCTION no_such_function()
DO $$ BEGIN RAISE NOTICE 'in DO'; END $$
DO $$ BEGIN PERFORM 1/0; END $$
DO $$ BEGIN RAISE WARNING USING MESSAGE = 'w', DETAIL = 'd', HINT = 'h', ERRCODE = '01007'; END $$
CALL no_such_procedure()
LOCK TABLE t
ANALYZE t
REINDEX TABLE t
CREATE SCHEMA s CREATE TABLE in_s (a int)
;`
