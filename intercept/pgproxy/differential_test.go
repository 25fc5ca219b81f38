package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
)

// TestDifferential sends the same random sequences of protocol messages to a
// server and through a gateway that allows everything and masks nothing, and
// compares what comes back, message by message and byte by byte.
func TestDifferential(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) { compareSequences(t, newPair(t, d)) })
	t.Run("18", func(t *testing.T) { compareSequences(t, newPair(t, onReactor, testserver.Version18())) })
}

func compareSequences(t *testing.T, p *pair) {
	t.Helper()
	const sequences, enough = 60, 5
	failures := 0
	for seed := range uint64(sequences) {
		random := rand.New(rand.NewPCG(seed, 4711))
		if p.differs(t, generate(random.IntN)) {
			t.Logf("in sequence %d", seed)
			failures++
		}
		if failures == enough {
			t.Fatal("and maybe more")
		}
	}
}

// FuzzDifferential does the same with sequences that the fuzzer chooses.
func FuzzDifferential(f *testing.F) {
	for seed := range uint64(20) {
		choices := make([]byte, 200)
		random := rand.New(rand.NewPCG(seed, 42))
		for i := range choices {
			choices[i] = byte(random.IntN(256))
		}
		f.Add(choices)
	}
	p := newPair(f, onReactor)
	f.Fuzz(func(t *testing.T, choices []byte) {
		p.differs(t, generate(func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := int(choices[0])
			choices = choices[1:]
			return c % n
		}))
	})
}

// pair is a database behind a gateway and one like it without.
type pair struct{ direct, through side }

// side is a way to a database, and a connection that resets it.
type side struct {
	url, database string
	own           *pgconn.PgConn
}

func newPair(t testing.TB, d driver, opts ...testserver.Option) *pair {
	t.Helper()
	r := newRig(t, rigConfig{driver: d, recorder: forgetting(), proxy: pgproxy.Config{PassNotifications: true}, pg: opts})
	direct := testserver.Postgres(t, opts...)
	return &pair{direct: newSide(t, direct.URL(), direct), through: newSide(t, r.url(), r.pg)}
}

func newSide(t testing.TB, url string, pg *testserver.PG) side {
	t.Helper()
	own, err := pgconn.Connect(context.Background(), pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Close(context.Background()) })
	return side{url, pg.Database, own}
}

// differs reports whether the answers to a sequence differ, and how.
func (p *pair) differs(t testing.TB, s *sequence) bool {
	t.Helper()
	answers := make(chan []string, 1)
	go func() { answers <- p.direct.play(t, s) }()
	through := p.through.play(t, s)
	direct := <-answers
	i := 0
	for ; i < min(len(direct), len(through)); i++ {
		if direct[i] == through[i] {
			continue
		}
		if !leftPortal(direct[i], through[i]) {
			break
		}
		direct, through = cutToReady(direct, i), cutToReady(through, i)
	}
	if slices.Equal(direct, through) {
		return false
	}
	t.Errorf("sent:\n%s\nthe first %d messages are the same, then got\n%s\nwant\n%s", s, i, excerpt(through, i), excerpt(direct, i))
	return true
}

// leftPortal is the one difference that is let pass: a simple Query that fails in a
// transaction leaves the server an unnamed portal, which can't run any more.
// Executing it gives an empty answer there, and none through the gateway.
func leftPortal(direct, through string) bool {
	return strings.HasPrefix(direct, "I ") && strings.Contains(through, `portal \"\" does not exist`)
}

// cutToReady cuts answers out from the i-th to before the next ReadyForQuery.
func cutToReady(answers []string, i int) []string {
	end := i
	for end < len(answers) && !strings.HasPrefix(answers[end], "Z") {
		end++
	}
	return slices.Delete(slices.Clone(answers), i, end)
}

// excerpt is what a report shows of answers, from the one before the i-th.
func excerpt(answers []string, i int) string {
	const context = 6
	shown := answers[min(max(0, i-1), len(answers)):min(i+context, len(answers))]
	return strings.Join(shown, "\n")
}

const differentialSchema = `DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;
CREATE TABLE t (id int PRIMARY KEY, s text NOT NULL DEFAULT 'none', n numeric(8,2), at timestamptz DEFAULT '2020-02-02 02:02:02+00');
INSERT INTO t SELECT i, 'row ' || i, i * 1.5 FROM generate_series(1, 20) i;
CREATE TABLE u (k int REFERENCES t DEFERRABLE INITIALLY DEFERRED, b bytea, a int[]);
INSERT INTO u VALUES (1, '\x00ff', '{1,2}'), (2, NULL, '{}'), (3, '', NULL);
CREATE VIEW v AS SELECT t.id, t.s, u.a FROM t JOIN u ON u.k = t.id;
CREATE SEQUENCE q;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE FUNCTION talk(x int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'talking of %', x; IF x > 5 THEN RAISE EXCEPTION 'too much: %', x USING HINT = 'less'; END IF; RETURN x; END $$`

// play sends a sequence and returns the answers up to the end of the connection.
func (e *side) play(t testing.TB, s *sequence) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := e.own.Exec(ctx, differentialSchema).ReadAll(); err != nil {
		t.Errorf("reset: %v", err)
	}
	connected, err := pgconn.Connect(ctx, e.url)
	if err != nil {
		t.Errorf("connect: %v", err)
		return nil
	}
	h, err := takeOver(connected)
	if err != nil {
		t.Errorf("hijack: %v", err)
		return nil
	}
	defer h.Conn.Close()
	if err := h.Conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Errorf("deadline: %v", err)
	}
	a := &answers{conn: h.Conn, database: e.database, oids: map[uint32]uint32{}}
	for _, group := range s.groups {
		if _, err := h.Conn.Write(group); err != nil {
			break // the server has hung up: what it said before is what counts
		}
		if s.lockstep && !a.upToReady() {
			return a.got
		}
	}
	for a.next() {
	}
	return a.got
}

// answers are the messages of a server as text that is the same for servers that
// say the same.
type answers struct {
	conn     net.Conn
	database string
	oids     map[uint32]uint32
	got      []string
}

// upToReady reads up to a ReadyForQuery; false means that the connection ended.
func (a *answers) upToReady() bool {
	for a.next() {
		if strings.HasPrefix(a.got[len(a.got)-1], "Z") {
			return true
		}
	}
	return false
}

func (a *answers) next() bool {
	var head [5]byte
	if _, err := io.ReadFull(a.conn, head[:]); err != nil {
		if err != io.EOF {
			a.got = append(a.got, "connection: "+err.Error())
		}
		return false
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	if _, err := io.ReadFull(a.conn, body); err != nil {
		a.got = append(a.got, "message: "+err.Error())
		return false
	}
	if head[0] == 'N' && bytes.Contains(body, []byte("rehashing catalog cache")) {
		return a.next() // when it grows depends on all that was asked before, for the catalogue too
	}
	a.got = append(a.got, fmt.Sprintf("%c %q", head[0], a.settle(head[0], body)))
	return true
}

// settle takes out of a message what differs between two servers that behave the
// same: OIDs of new objects are numbered, process ids and the database's name
// are dropped.
func (a *answers) settle(typ byte, body []byte) []byte {
	switch typ {
	case 'T':
		return a.layout(body)
	case 't':
		for i := 2; i+4 <= len(body); i += 4 {
			a.number(body[i:])
		}
	case 'A':
		clear(body[:4])
	case 'E', 'N':
		body = bytes.ReplaceAll(body, []byte(a.database), []byte("DATABASE"))
		body = parserLine.ReplaceAll(body, []byte("$1"))
		return newOID.ReplaceAll(body, []byte("OID"))
	}
	return body
}

// parserLine is where in the server's source, of its version, errors come from
// that the gateway's copy of the parser finds, other than by the scanner's own
// function.
var parserLine = regexp.MustCompile(`L[0-9]+\x00(R(?:str_udeescape|base_yyparse|core_yylex|report_invalid_encoding)\x00)`)

// newOID is how errors and plans name objects by number.
var newOID = regexp.MustCompile(`\b(1[6-9]|[2-9][0-9])[0-9]{3}\b`)

func (a *answers) layout(body []byte) []byte {
	for rest := body[2:]; len(rest) > 0; {
		rest = rest[bytes.IndexByte(rest, 0)+1:]
		a.number(rest)
		a.number(rest[6:])
		rest = rest[18:]
	}
	return body
}

// number replaces the OID of an object that is not the system's by how many there
// were before it.
func (a *answers) number(b []byte) {
	const firstNormal = 16384
	oid := binary.BigEndian.Uint32(b)
	if oid < firstNormal {
		return
	}
	if a.oids[oid] == 0 {
		a.oids[oid] = uint32(1e6 + len(a.oids))
	}
	binary.BigEndian.PutUint32(b, a.oids[oid])
}
