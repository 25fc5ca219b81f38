package pgproxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

// OIDs of built-in functions, which are the same on all servers.
const (
	oidInt4div = 154
	oidReverse = 3062
	oidRepeat  = 1622
	oidLoOpen  = 952
	oidLoRead  = 954
	oidLoWrite = 955
	oidLoCreat = 957
	oidLoGet   = 3458
	oidSleep   = 2626
	oidReadAll = 3826 // pg_read_file(text)
)

// oid returns the OID of a function that was made, given with its arguments' types.
func (r *rig) oid(t testing.TB, signature string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(r.pg.Query("SELECT '" + signature + "'::regprocedure::oid")[0][0], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// calling is a FunctionCall with arguments as text and the result as text.
func calling(function uint32, args ...string) *pgproto3.FunctionCall {
	m := &pgproto3.FunctionCall{Function: function}
	for _, arg := range args {
		m.Arguments = append(m.Arguments, []byte(arg))
	}
	return m
}

// callingBinary is the same in binary.
func callingBinary(function uint32, args ...[]byte) *pgproto3.FunctionCall {
	return &pgproto3.FunctionCall{Function: function, ArgFormatCodes: []uint16{1}, Arguments: args, ResultFormatCode: 1}
}

func int4(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

const fastpathSetup = itemsSetup + `;
CREATE SCHEMA "Odd";
CREATE FUNCTION "Odd"."Add"(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a + b';
CREATE FUNCTION store(v text) RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO items VALUES (900) RETURNING id';
CREATE FUNCTION rise(v int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'n'; IF v > 1 THEN RAISE EXCEPTION 'too much'; END IF; RETURN 'said'; END $$;
CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION many() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE act() LANGUAGE sql AS '';
CREATE FUNCTION pair(OUT a int, OUT b text) LANGUAGE sql AS $$ SELECT 1, 'x' $$`

// What the fast path answers is what the server answers.
func TestFastPath(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, setup: fastpathSetup})
		add, rise, store := r.oid(t, `"Odd"."Add"(int,int)`), r.oid(t, "rise(int)"), r.oid(t, "store(text)")
		c := r.session(t)
		ask := func(m pgproto3.FrontendMessage, want ...string) {
			t.Helper()
			c.send(m)
			c.expect(want...)
		}
		ask(calling(oidReverse, "word"), `value "drow"`, "ZI")
		ask(callingBinary(add, int4(2), int4(3)), `value "\x00\x00\x00\x05"`, "ZI")
		ask(callingBinary(add, int4(2), nil), "value NULL", "ZI")
		ask(calling(r.oid(t, "nothing()")), "value NULL", "ZI")
		ask(calling(r.oid(t, "pair()")), `value "(1,x)"`, "ZI")
		ask(calling(rise, "1"), "notice 00000", `value "said"`, "ZI")
		ask(calling(rise, "2"), "notice 00000", "ERROR P0001", "ZI")
		ask(calling(add, "1"), "ERROR 08P01", "ZI")
		ask(calling(add, "1", "2", "3"), "ERROR 08P01", "ZI")
		ask(calling(add, "1", "x"), "ERROR 22P02", "ZI")
		ask(calling(r.oid(t, "many()")), "ERROR 0A000", "ZI")
		ask(calling(r.oid(t, "act()")), "ERROR 0A000", "ZI")
		ask(calling(7), "ERROR 42883", "ZI")
		ask(calling(0), "ERROR 42883", "ZI")
		c.query("BEGIN", "BEGIN", "ZT")
		ask(calling(store, "x"), `value "900"`, "ZT")
		ask(calling(oidInt4div, "1", "0"), "ERROR 22012", "ZE")
		ask(calling(oidReverse, "word"), "ERROR 25P02", "ZE")
		ask(calling(7), "ERROR 25P02", "ZE")
		c.query("ROLLBACK", "ROLLBACK", "ZI")
		r.wantItems("10")
		ask(calling(store, "x"), `value "900"`, "ZI")
		r.wantItems("11")
	})
}

// A call in the middle of a pipeline ends it as a simple Query does, but for the
// unnamed statement, which it leaves as it is, allowed or refused.
func TestFastPathInPipelines(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: denyingFunction("public.store"), setup: fastpathSetup})
		store := r.oid(t, "store(text)")
		c := r.session(t)
		const remove1 = "DELETE FROM items WHERE id = 1"
		c.send(pipeline(remove1, calling(oidReverse, "a"), calling(oidReverse, "b"), "SELECT 1", &pgproto3.Sync{})...)
		c.expect("ParseComplete", "BindComplete", "DELETE 1", `value "a"`, "ZI", `value "b"`, "ZI", "ParseComplete", "BindComplete", "row 1", "SELECT 1", "ZI")
		r.wantItems("9")
		// What stands before a refused call is not committed.
		c.send(pipeline("DELETE FROM items WHERE id = 2", calling(store, "x"), &pgproto3.Sync{})...)
		c.expect("ParseComplete", "BindComplete", "DELETE 1", "ERROR 42501", "ZI", "ZI")
		r.wantItems("9")
		// It is skipped behind an error.
		c.send(pipeline("SELECT 1/0", calling(oidReverse, "a"), calling(store, "x"), &pgproto3.Sync{}, calling(oidReverse, "c"))...)
		c.expect("ParseComplete", "ERROR 22012", "ZI", `value "c"`, "ZI")
		for _, m := range []pgproto3.FrontendMessage{calling(oidReverse, "a"), calling(7), calling(store, "x")} {
			c.send(pipeline(&pgproto3.Parse{Query: "SELECT 7"}, &pgproto3.Sync{})...)
			c.expect("ParseComplete", "ZI")
			c.send(m)
			c.until(1)
			c.send(pipeline(&pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})...)
			c.expect("BindComplete", "row 7", "SELECT 1", "ZI")
		}
		// What is bound behind a call outlives the end of its transaction.
		c.send(pipeline(calling(oidReverse, "a"), &pgproto3.Parse{Query: "SELECT 8"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Flush{})...)
		c.expect(`value "a"`, "ZI")
		for m := range c.messages() {
			if m == "BindComplete" {
				break
			}
		}
		c.send(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})
		c.expect("row 8", "SELECT 1", "ZI")
		c.query("BEGIN", "BEGIN", "ZT")
		c.send(calling(store, "x"), calling(store, "y"), &pgproto3.Query{String: "ROLLBACK"})
		c.expect("ERROR 42501", "ZE", "ERROR 42501", "ZE", "ROLLBACK", "ZI")
		r.wantItems("9")
	})
}

// denyingFunction allows everything but the execution of one function.
func denyingFunction(name string) policy.Evaluator {
	return policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		for _, e := range in.Command.Effects {
			if e.Verb == policy.VerbExecute && e.Kind == "function" && e.Name == name {
				return policy.Decision{Outcome: policy.Deny, Revision: "1", Reasons: []policy.Reason{{Rule: "no-" + name, Message: "not for agents"}}}, nil
			}
		}
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	})
}

// A call is put to the policy as the statement that selects its value.
func TestFastPathIsJudgedAsItsStatement(t *testing.T) {
	var mu sync.Mutex
	var commands []policy.Command
	seen := policy.EvaluatorFunc(func(_ context.Context, in *policy.Input) (policy.Decision, error) {
		mu.Lock()
		defer mu.Unlock()
		commands = append(commands, *in.Command)
		return policy.Decision{Outcome: policy.Allow, Revision: "1"}, nil
	})
	r := newRig(t, rigConfig{driver: onReactor, policy: seen, setup: fastpathSetup})
	c := r.session(t)
	for _, test := range []struct {
		call   *pgproto3.FunctionCall
		sql    string // bound with its parameters
		text   string
		params []policy.Param
	}{
		{calling(oidReverse, "a"), "SELECT pg_catalog.reverse($1)", "SELECT pg_catalog.reverse($1::text)", []policy.Param{{Value: "a"}}},
		{callingBinary(r.oid(t, `"Odd"."Add"(int,int)`), int4(2), nil), `SELECT "Odd"."Add"($1, $2)`, `SELECT "Odd"."Add"($1::integer, $2::integer)`, []policy.Param{{Value: "00000002", Binary: true}, {Null: true}}},
		{calling(oidLoOpen, "1", "2"), "SELECT lo_open($1, $2)", "SELECT pg_catalog.lo_open($1::oid, $2::integer)", []policy.Param{{Value: "1"}, {Value: "2"}}},
		{calling(oidReadAll, "x"), "SELECT pg_read_file($1)", "SELECT pg_catalog.pg_read_file($1::text)", []policy.Param{{Value: "x"}}},
		{calling(r.oid(t, "store(text)"), "x"), "SELECT public.store($1)", "SELECT public.store($1::text)", []policy.Param{{Value: "x"}}},
		{calling(r.oid(t, "query_to_xml(text,boolean,boolean,text)"), "SELECT 1", "t", "t", ""), "SELECT query_to_xml($1, $2, $3, $4)",
			"SELECT pg_catalog.query_to_xml($1::text, $2::boolean, $3::boolean, $4::text)", []policy.Param{{Value: "SELECT 1"}, {Value: "t"}, {Value: "t"}, {}}},
	} {
		mu.Lock()
		commands = nil
		mu.Unlock()
		c.send(test.call)
		c.until(1)
		c.send(&pgproto3.Parse{Query: test.sql}, &pgproto3.Sync{})
		c.until(1)
		mu.Lock()
		judged := slices.Clone(commands)
		mu.Unlock()
		if len(judged) != 2 {
			t.Fatalf("%s: judged %d times", test.text, len(judged))
		}
		called, said := judged[0], judged[1]
		if called.Action != policy.ActionExecute || called.Text != test.text || !slices.Equal(called.Params, test.params) {
			t.Errorf("%s: judged as %+v", test.text, called)
		}
		if strings.ReplaceAll(factsText(t, called), "pg_catalog.", "") != strings.ReplaceAll(factsText(t, said), "pg_catalog.", "") {
			t.Errorf("%s: got the facts\n%s\nwant\n%s", test.text, factsText(t, called), factsText(t, said))
		}
	}
}

func factsText(t *testing.T, c policy.Command) string {
	t.Helper()
	b, err := json.Marshal([]any{c.Effects, c.Opaque, c.SQL})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The result of a call is bounded, and so is its time.
func TestFastPathLimits(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, policy: limiting(policy.Limit{Bytes: 100_000, Timeout: time.Second}), setup: fastpathSetup + `;
			CREATE FUNCTION big(n int) RETURNS text LANGUAGE sql VOLATILE AS $$ DELETE FROM items WHERE id = 1; SELECT repeat('x', n) $$`})
		big := r.oid(t, "big(int)")
		c := r.session(t)
		c.send(calling(oidReverse, "a"))
		c.expect(`value "a"`, "ZI")
		for _, n := range []string{"100001", "3000000"} {
			c.send(calling(big, n))
			c.expect("ERROR 54000", "ZI")
			r.wantItems("10")
			c.query("BEGIN", "BEGIN", "ZT")
			c.send(calling(big, n))
			c.expect("ERROR 54000", "ZE")
			c.query("ROLLBACK", "ROLLBACK", "ZI")
		}
		c.send(calling(oidSleep, "20"))
		c.expect("ERROR 57014", "ZI")
		c.send(calling(big, "10"))
		c.expect(`value "xxxxxxxxxx"`, "ZI")
		r.wantItems("9")
	})
}

// A long result passes as it comes, and is in the record.
func TestFastPathLongResult(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		r := newRig(t, rigConfig{driver: d, proxy: pgproxy.Config{MaxMessageBytes: 1 << 20}})
		c := r.session(t)
		c.send(calling(oidRepeat, "abcd", "2000000"), calling(oidReverse, "a"))
		if m, ok := c.next().(*pgproto3.FunctionCallResponse); !ok || !bytes.Equal(m.Result, bytes.Repeat([]byte("abcd"), 2000000)) {
			t.Fatalf("got %T", m)
		}
		c.expect("ZI", `value "a"`, "ZI")
		if kept := r.recorder.Entries(r.recorder.Sessions()[0]); !bytes.Contains(outputs(kept), bytes.Repeat([]byte("abcd"), 2000000)) {
			t.Error("the result is not in the record")
		}
	})
}

// A result in which rules look for something is searched, and what the gateway
// logs in with does not come back.
func TestFastPathResultsAreSearched(t *testing.T) {
	r := newDetectRig(t, detecting("*.*", "redact", "email"))
	c := r.session(t)
	for _, m := range []*pgproto3.FunctionCall{calling(oidReverse, reversed("dora@secret.example")), {Function: oidReverse, ResultFormatCode: 1, Arguments: [][]byte{[]byte(reversed("dora@secret.example"))}}} {
		c.send(m)
		if got := c.until(1); len(got) != 2 || !strings.HasPrefix(got[0], "value ") || strings.Contains(got[0], "dora") {
			t.Errorf("got %q", got)
		}
	}
	c.send(calling(oidReverse, "plain"))
	c.expect(`value "nialp"`, "ZI")

	r = newRig(t, rigConfig{driver: onReactor})
	c = r.session(t)
	c.send(calling(oidReverse, reversed(r.pg.Password)), calling(oidRepeat, r.pg.Password, "5000"))
	if got := strings.Join(c.until(2), " "); strings.Contains(got, r.pg.Password) || !strings.Contains(got, "value") {
		t.Errorf("got %q", got)
	}
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// A call that waits for a human is what runs then.
func TestFastPathApproval(t *testing.T) {
	d := newDesk(t)
	r := newRig(t, rigConfig{driver: onReactor, policy: asking(policy.VerbExecute), setup: fastpathSetup, approver: d.engine})
	c := r.session(t)
	c.send(calling(r.oid(t, "store(text)"), "x"))
	ticket := d.ticket()
	if got := ticket.Request.Input.Command.Text; got != "SELECT public.store($1::text)" {
		t.Errorf("asked about %q", got)
	}
	r.wantItems("10")
	if err := d.decide(ticket, true); err != nil {
		t.Fatal(err)
	}
	c.expect("notice 01000", `value "900"`, "ZI")
	r.wantItems("11")
}

// How calls end is in the record.
func TestFastPathIsRecorded(t *testing.T) {
	r := newRig(t, rigConfig{driver: onReactor, proxy: pgproxy.Config{MaskKey: secret.New("key-for-the-bypass-tests-0123456789")}})
	c := r.session(t)
	c.send(calling(oidReverse, "a"), calling(oidInt4div, "1", "0"), calling(7), &pgproto3.Terminate{})
	c.end()
	if err := r.gateway.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, e := range r.recorder.Entries(r.recorder.Sessions()[0]) {
		if e.Type == record.TypeCommand || e.Type == record.TypeResult {
			kept = append(kept, string(e.Payload))
		}
	}
	all := strings.Join(kept, "\n")
	for _, want := range []string{"SELECT pg_catalog.reverse($1::text)", "FUNCTION CALL", "22012", "function with OID 7 does not exist"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
}
