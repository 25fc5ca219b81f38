package pgproxy_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/headgate/gateway/intercept/pgproxy"
)

const (
	hostileSetup  = "CREATE TABLE people (id int, ssn text); INSERT INTO people VALUES (1, 'canary-1'), (2, 'canary-2'); CREATE TABLE taken (id int)"
	hostileCanary = "canary"
)

// newHostileRig is a rig whose server is an impostor, and masks people.ssn.
func newHostileRig(t *testing.T, d driver, bounds pgproxy.Config) (*rig, *impostor) {
	t.Helper()
	i := newImpostor(t)
	r := newRig(t, rigConfig{driver: d, policy: masking("public.people.ssn:redact"), setup: hostileSetup, recorder: forgetting(), proxy: bounds, adjust: func(_ *rig, c *pgproxy.Config) {
		i.insteadOf(c)
	}})
	return r, i
}

// unasked are messages that a server may have no reason to send.
func unasked() map[string][]byte {
	row := "\x00\x02\x00\x00\x00\x019\x00\x00\x00\x08canary-9"
	return map[string][]byte{
		"authentication":           said('R', "\x00\x00\x00\x00"),
		"password request":         said('R', "\x00\x00\x00\x03"),
		"SASL continues":           said('R', "\x00\x00\x00\x0br=canary"),
		"key":                      said('K', "\x00\x00\x00\x01abcd"),
		"key without a body":       said('K', ""),
		"protocol version":         said('v', "\x00\x03\x00\x02\x00\x00\x00\x00"),
		"ParseComplete":            said('1', ""),
		"BindComplete":             said('2', ""),
		"CloseComplete":            said('3', ""),
		"NoData":                   said('n', ""),
		"parameters":               said('t', "\x00\x01\x00\x00\x00\x17"),
		"PortalSuspended":          said('s', ""),
		"empty query":              said('I', ""),
		"function's result":        said('V', "\x00\x00\x00\x08canary-9"),
		"function's giant result":  saidToBe('V', 1<<28, "\x0f\xff\xff\xf0"+strings.Repeat("canary-9", 4<<10)),
		"COPY in":                  said('G', "\x00\x00\x02\x00\x00\x00\x00"),
		"COPY out":                 said('H', "\x00\x00\x02\x00\x00\x00\x00"),
		"COPY both":                said('W', "\x00\x00\x00"),
		"CopyData":                 said('d', "9\tcanary-9\n"),
		"CopyDone":                 said('c', ""),
		"row":                      said('D', row),
		"row and layout":           slices.Concat(said('T', "\x00\x00"), said('D', row)),
		"row behind its statement": slices.Concat(said('C', "SELECT 1\x00"), said('D', row)),
		"row of the next":          slices.Concat(said('Z', "I"), said('D', row)),
		"error":                    said('E', "SERROR\x00C22000\x00Mcanary-9\x00Dcanary-9\x00\x00"),
		"error without fields":     said('E', "\x00"),
		"error without an end":     said('E', "Mcanary-9"),
		"error of nothing":         said('E', ""),
		"notice":                   said('N', "SNOTICE\x00C00000\x00Mcanary-9\x00\x00"),
		"notice without fields":    said('N', "\x00"),
		"notification":             said('A', "\x00\x00\x00\x01ch\x00canary-9\x00"),
		"notification cut short":   said('A', "\x00\x00"),
		"notification without end": said('A', "\x00\x00\x00\x01ch\x00canary-9"),
		"setting":                  said('S', "standard_conforming_strings\x00off\x00"),
		"setting without value":    said('S', "a\x00"),
		"setting with three":       said('S', "a\x00b\x00canary-9\x00"),
		"client's type":            said('Q', "SELECT 1\x00"),
		"type 0":                   said(0, "canary-9"),
		"type 255":                 said(255, "canary-9"),
		"length below four":        saidToBe('N', 3, ""),
		"length of nothing":        saidToBe('Z', 0, ""),
		"length below zero":        saidToBe('D', -1, row),
		"length of 2 GiB":          saidToBe('D', 1<<31-1, row),
		"length of 1 GiB":          saidToBe('T', 1<<30-1, row),
		"ready, with no state":     said('Z', ""),
		"ready, with two":          said('Z', "II"),
		"ready, in no state":       said('Z', "X"),
		"ready, in state 0":        said('Z', "\x00"),
		"ready, failed":            said('Z', "E"),
	}
}

// hostileCase is what a client asks, and the types of the messages that answer it.
type hostileCase struct {
	ask     []pgproto3.FrontendMessage
	answers string
	lies    []lie
	// open says that it reaches nothing that is masked: what a server shows is its own.
	open bool
}

func hostileCases() map[string]hostileCase {
	const sql = "SELECT id, ssn FROM people ORDER BY id"
	return map[string]hostileCase{
		"query":    {pipeline(&pgproto3.Query{String: sql}), "TDCZ", slices.Concat(layoutLies(), rowLies(), endLies()), false},
		"prepared": {pipeline(sql, &pgproto3.Sync{}), "12DCZ", slices.Concat(rowLies(), endLies()), false},
		"described": {pipeline(&pgproto3.Parse{Query: sql}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'},
			&pgproto3.Execute{MaxRows: 1}, &pgproto3.Execute{}, &pgproto3.Sync{}), "1tT2DsCZ", layoutLies(), false},
		"COPY out": {pipeline(&pgproto3.Query{String: "COPY people TO STDOUT"}), "HdcCZ", copyOutLies(), false},
		"COPY in": {pipeline(&pgproto3.Query{String: "COPY taken FROM STDIN"}, &pgproto3.CopyData{Data: []byte("1\n")}, &pgproto3.CopyDone{}), "GCZ",
			copyInLies(), true},
		"function": {pipeline(&pgproto3.FunctionCall{Function: 1397, ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("-5")}}), "VZ",
			functionLies(), true},
	}
}

// instead tells body in place of what a message has.
func instead(name string, at byte, body string) lie {
	return lie{name: name, at: at, tell: func([]byte) []byte { return said(at, body) }}
}

// twice says a message again.
func twice(at byte) lie {
	return lie{name: "twice " + string(at), at: at, tell: func(m []byte) []byte { return slices.Concat(m, m) }}
}

// never leaves a message out.
func never(at byte) lie {
	return lie{name: "never " + string(at), at: at, tell: func([]byte) []byte { return nil }}
}

// counted says another number where a message has how many there are, and with the first
// count bytes of it.
func counted(at byte, offset int, counts ...uint16) (lies []lie) {
	for _, n := range counts {
		lies = append(lies, lie{name: fmt.Sprintf("count %d in %q", n, at), at: at, tell: func(m []byte) []byte {
			binary.BigEndian.PutUint16(m[5+offset:], n)
			return m
		}})
	}
	return lies
}

// column is one of a RowDescription.
func column(name string, table uint32, number uint16, typ uint32, size int16, format uint16) string {
	b := append([]byte(name), 0)
	b = binary.BigEndian.AppendUint32(b, table)
	b = binary.BigEndian.AppendUint16(b, number)
	b = binary.BigEndian.AppendUint32(b, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = binary.BigEndian.AppendUint32(b, 0xffffffff)
	return string(binary.BigEndian.AppendUint16(b, format))
}

func layoutLies() []lie {
	id := column("id", 0, 0, 23, 4, 0)
	lies := counted('T', 0, 0, 1, 3, 0x7fff, 0xffff)
	for name, second := range map[string]string{
		"without origin": column("ssn", 0, 0, 25, -1, 0), "of a catalogue": column("ssn", 1259, 1, 25, -1, 0),
		"of no such column": column("ssn", 0, 0x7fff, 25, -1, 0), "of all tables": column("ssn", 0xffffffff, 0xffff, 25, -1, 0),
		"of another type": column("ssn", 0, 0, 23, 4, 0), "of bytea": column("ssn", 0, 0, 17, -1, 0), "of no type": column("ssn", 0, 0, 0, 0, 0),
		"of a row": column("ssn", 0, 0, 2249, -1, 0), "of json": column("ssn", 0, 0, 114, -1, 0), "of text[]": column("ssn", 0, 0, 1009, -1, 0),
		"of void": column("ssn", 0, 0, 2278, 4, 0), "of unknown": column("ssn", 0, 0, 705, -2, 0), "in binary": column("ssn", 0, 0, 25, -1, 1),
		"in format 7": column("ssn", 0, 0, 25, -1, 7), "in binary of int": column("ssn", 0, 0, 23, 4, 1), "of any name": column(strings.Repeat("x", 5000), 0, 0, 25, -1, 0),
	} {
		lies = append(lies, instead("layout "+name, 'T', "\x00\x02"+id+second))
	}
	return append(lies, twice('T'), never('T'),
		instead("no layout", 'T', ""), instead("layout cut in the count", 'T', "\x00"), instead("layout of nothing", 'T', "\x00\x00"),
		instead("layout cut short", 'T', "\x00\x02"+id+"ssn\x00\x00"), instead("layout goes on", 'T', "\x00\x01"+id+"more"),
		instead("layout without an end", 'T', "\x00\x02"+id+"ssn"), instead("layout of one", 'T', "\x00\x01"+id),
		lie{name: "no data", at: 'T', tell: func([]byte) []byte { return said('n', "") }})
}

func rowLies() []lie {
	lies := counted('D', 0, 0, 1, 3, 0x7fff, 0xffff)
	for name, body := range map[string]string{
		"no row": "", "row cut in the count": "\x00", "row of nothing": "\x00\x00", "row of one": "\x00\x01\x00\x00\x00\x08canary-9",
		"value below zero": "\x00\x02\x00\x00\x00\x019\xff\xff\xff\xfecanary-9", "value far below zero": "\x00\x02\x00\x00\x00\x019\x80\x00\x00\x00canary-9",
		"value beyond the row": "\x00\x02\x00\x00\x00\x019\x00\x00\x00\x09canary-9", "value of 2 GiB": "\x00\x02\x00\x00\x00\x019\x7f\xff\xff\xffcanary-9",
		"row that goes on": "\x00\x02\x00\x00\x00\x019\x00\x00\x00\x01xcanary-9", "length cut short": "\x00\x02\x00\x00\x00\x019\x00\x00",
		"row of three": "\x00\x03\x00\x00\x00\x019\x00\x00\x00\x08canary-9\x00\x00\x00\x08canary-9",
		"row of a NUL": "\x00\x02\x00\x00\x00\x019\x00\x00\x00\x0acanary-9\x00\xff",
	} {
		lies = append(lies, instead(name, 'D', body))
	}
	giant := "\x00\x02\x00\x00\x00\x019\x3f\xff\xff\x00" + strings.Repeat("canary-9", 8<<10)
	return append(lies, twice('D'), never('D'),
		lie{name: "giant row that does not come", at: 'D', hangsUp: true, tell: func([]byte) []byte { return saidToBe('D', 1<<30-1, giant) }},
		lie{name: "giant row that ends within a value", at: 'D', tell: func([]byte) []byte { return said('D', giant) }},
		lie{name: "giant row of many values", at: 'D', hangsUp: true, tell: func([]byte) []byte {
			return saidToBe('D', 1<<29, "\xff\xff"+strings.Repeat("\x00\x00\x00\x08canary-9", 8<<10))
		}},
		lie{name: "row in pieces of one", at: 'D', hangsUp: true, tell: func(m []byte) []byte { return m[:len(m)-1] }})
}

func endLies() []lie {
	return []lie{
		twice('C'), never('C'), twice('Z'),
		instead("tag without an end", 'C', "SELECT 2"), instead("no tag", 'C', ""), instead("two tags", 'C', "SELECT 2\x00SELECT 2\x00"),
		instead("tag of another", 'C', "ROLLBACK\x00"), instead("tag of COPY", 'C', "COPY 18446744073709551616\x00"),
		instead("tag of numbers", 'C', "SELECT -1\x00"), instead("long tag", 'C', "SELECT "+strings.Repeat("9", 100000)+"\x00"),
		{name: "ready instead of an end", at: 'C', tell: func([]byte) []byte { return said('Z', "I") }},
		{name: "error instead of an end", at: 'C', tell: func([]byte) []byte { return said('E', "C\x00\x00") }},
	}
}

func copyOutLies() []lie {
	lies := slices.Concat(counted('H', 1, 0, 1, 3, 0x7fff, 0xffff), []lie{twice('H'), never('H'), twice('c'), never('c'), twice('d'), never('d'), twice('C'), twice('Z')})
	for name, body := range map[string]string{
		"no response": "", "response cut short": "\x00\x00", "of format 2": "\x02\x00\x02\x00\x00\x00\x00", "of binary": "\x01\x00\x02\x00\x01\x00\x01",
		"of both formats": "\x00\x00\x02\x00\x00\x00\x01", "of format 7": "\x00\x00\x02\x00\x07\x00\x07", "that goes on": "\x00\x00\x02\x00\x00\x00\x00canary",
		"of one column": "\x00\x00\x01\x00\x00", "of three columns": "\x00\x00\x03\x00\x00\x00\x00\x00\x00",
	} {
		lies = append(lies, instead("response "+name, 'H', body))
	}
	for name, data := range map[string]string{
		"nothing": "", "no end of line": "9\tcanary-9", "three": "9\t8\tcanary-9\n", "one": "canary-9\n", "no value": "\n\n", "an end": "\\.\n9\tcanary-9\n",
		"an escape": "9\\\tcanary-9\n", "a cut escape": "9\t\\", "binary": "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x019\x00\x00\x00\x08canary-9\xff\xff",
		"a carriage return": "9\tcanary-9\r\n",
	} {
		if name == "one" || name == "an escape" {
			data = strings.ReplaceAll(data, hostileCanary, "public") // the first column is not masked
		}
		lies = append(lies, instead("data of "+name, 'd', data))
	}
	return append(lies,
		lie{name: "giant data that does not come", at: 'd', hangsUp: true, tell: func([]byte) []byte {
			return saidToBe('d', 1<<30-1, "9\t"+strings.Repeat("canary-9", 8<<10))
		}},
		lie{name: "rows before the response", at: 'H', tell: func(m []byte) []byte { return append(said('d', "9\tcanary-9\n"), m...) }},
		lie{name: "COPY in instead", at: 'H', tell: func(m []byte) []byte { m[0] = 'G'; return m }},
		lie{name: "COPY both instead", at: 'H', tell: func(m []byte) []byte { m[0] = 'W'; return m }},
		lie{name: "ready within", at: 'c', tell: func(m []byte) []byte { return said('Z', "I") }},
		lie{name: "end within", at: 'c', tell: func(m []byte) []byte { return append(said('C', "COPY 1\x00"), m...) }},
		lie{name: "rows behind the end", at: 'c', tell: func(m []byte) []byte { return append(m, said('d', "9\tcanary-9\n")...) }})
}

func copyInLies() []lie {
	lies := slices.Concat(counted('G', 1, 0, 2, 0x7fff, 0xffff), []lie{twice('G'), twice('C'), never('C'), twice('Z')})
	for name, body := range map[string]string{
		"no response": "", "response cut short": "\x00\x00", "of format 2": "\x02\x00\x01\x00\x00", "of binary": "\x01\x00\x01\x00\x01",
		"of format 7": "\x00\x00\x01\x00\x07", "that goes on": "\x00\x00\x01\x00\x00more",
	} {
		lies = append(lies, instead("response "+name, 'G', body))
	}
	return append(lies,
		lie{name: "COPY out instead", at: 'G', tell: func(m []byte) []byte { m[0] = 'H'; return append(m, said('d', "9\tcanary-9\n")...) }},
		lie{name: "COPY both instead", at: 'G', tell: func(m []byte) []byte { m[0] = 'W'; return m }},
		lie{name: "rows instead", at: 'G', tell: func(m []byte) []byte { return append(m, said('d', "9\tcanary-9\n")...) }})
}

func functionLies() []lie {
	return []lie{
		twice('V'), never('V'), twice('Z'),
		instead("no value", 'V', ""), instead("length cut short", 'V', "\x00\x00"), instead("length below zero", 'V', "\xff\xff\xff\xfe5"),
		instead("value beyond", 'V', "\x00\x00\x00\x095"), instead("value goes on", 'V', "\x00\x00\x00\x0155"), instead("value of 2 GiB", 'V', "\x7f\xff\xff\xff5"),
		{name: "giant value that does not come", at: 'V', hangsUp: true, tell: func([]byte) []byte { return saidToBe('V', 1<<30-1, "\x3f\xff\xff\xf7"+strings.Repeat("5", 64<<10)) }},
	}
}

// TestHostileServerInSession has a server answer with what is wrong in each field, and
// with each message that nobody has asked for at each place. The session ends or goes
// on, and what is masked does not get through. Drivers share the lies out.
func TestHostileServerInSession(t *testing.T) {
	drivers := []driver{onReactor, overTLS}
	for turn, d := range drivers {
		r, i := newHostileRig(t, d, pgproxy.Config{})
		r.warm(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		before, told, ended := heap(), 0, 0
		for kind, test := range hostileCases() {
			for n, l := range test.allLies() {
				if n%len(drivers) != turn {
					continue
				}
				told++
				if r.suffer(t, i, fmt.Sprintf("driver %d: %s: %s", d, kind, l.name), test.ask, &l) {
					ended++
				}
			}
		}
		r.wantNothingLeft(t, goroutines, files)
		if grown := int64(heap()) - int64(before); grown > 64<<20 {
			t.Errorf("driver %d: memory grew by %d bytes", d, grown)
		}
		if told < 500 || ended == 0 || ended == told {
			t.Errorf("driver %d: %d lies, of which %d ended the session", d, told, ended)
		}
	}
}

// allLies are those about the answers' fields, and what nobody has asked for before
// each of the answers.
func (c *hostileCase) allLies() []lie {
	lies, messages := slices.Clone(c.lies), unasked()
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		message := messages[name]
		if c.open {
			message = bytes.ReplaceAll(message, []byte(hostileCanary), []byte("public"))
		}
		for _, at := range []byte(c.answers) {
			lies = append(lies, lie{
				name: fmt.Sprintf("%s before %q", name, at), at: at, hangsUp: strings.Contains(name, "giant"),
				tell: func(m []byte) []byte { return slices.Concat(message, m) },
			})
		}
	}
	return lies
}

// suffer has a client ask while the server lies. It reports whether that was the end of
// the session.
func (r *rig) suffer(t *testing.T, i *impostor, name string, ask []pgproto3.FrontendMessage, l *lie) (ended bool) {
	t.Helper()
	i.lie.Store(nil)
	c := r.session(t)
	defer c.conn.Close()
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	i.lie.Store(l)
	for _, m := range ask {
		c.Send(m)
	}
	_ = c.Flush() // the session may have ended
	got, err := untilReady(c)
	i.lie.Store(nil)
	if err == nil {
		c.Send(&pgproto3.Query{String: "SELECT 1234"})
		_ = c.Flush()
		var more []byte
		more, err = untilReady(c)
		got = append(got, more...)
		if err == nil && !bytes.Contains(more, []byte("1234")) {
			t.Errorf("%s: the session went on with %q", name, more)
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Errorf("%s: the session hangs; got %q", name, got)
	}
	if errors.Is(err, errNoMessage) {
		t.Errorf("%s: what came is no message: %q", name, got)
	}
	if bytes.Contains(got, []byte(hostileCanary)) {
		t.Errorf("%s: got %q", name, got)
	}
	return err != nil
}

// untilReady reads what the server says until it is ready.
func untilReady(c *rawClient) (got []byte, err error) {
	for {
		message, err := readMessage(c.conn)
		got = append(got, message...)
		if err != nil {
			return got, err
		}
		if message[0] == 'Z' {
			if state := message[5:]; string(state) != "I" && string(state) != "T" && string(state) != "E" {
				return got, fmt.Errorf("%w: ready in state %q", errNoMessage, state)
			}
			return got, nil
		}
	}
}

// floods are messages that a server may send at any time, without end.
func floods() map[string][]byte {
	return map[string][]byte{
		"settings":      said('S', "application_name\x00"+strings.Repeat("x", 1000)+"\x00"),
		"notices":       said('N', "SNOTICE\x00C00000\x00Mcanary-9\x00\x00"),
		"notifications": said('A', "\x00\x00\x00\x01ch\x00canary-9\x00"),
		"rows":          said('D', "\x00\x02\x00\x00\x00\x019\x00\x00\x00\x08canary-9"),
	}
}

// TestHostileServerFloods has a server send without end what a session must take, while
// the client reads, and while it does not: what there is of it in memory is bounded, and
// the session ends with its client.
func TestHostileServerFloods(t *testing.T) {
	for _, d := range []driver{onReactor, overTLS} {
		r, i := newHostileRig(t, d, pgproxy.Config{})
		r.warm(t)
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		for name, message := range floods() {
			for _, reads := range []bool{true, false} {
				c := r.session(t)
				before := heap()
				i.lie.Store(&lie{at: 'C', forever: true, tell: func([]byte) []byte { return bytes.Repeat(message, 100) }})
				c.send(&pgproto3.Query{String: "SELECT id, ssn FROM people"})
				in := bufio.NewReaderSize(c.conn, 64<<10)
				for n := 0; reads && n < 8<<20; {
					message, err := readMessage(in)
					if err != nil || bytes.Contains(message, []byte(hostileCanary)) {
						t.Fatalf("driver %d: %s: got %q, %v", d, name, message, err)
					}
					n += len(message)
				}
				if !reads {
					r.eventually(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND query LIKE 'SELECT id, ssn%'", "1")
				}
				if grown := int64(heap()) - int64(before); grown > 48<<20 {
					t.Errorf("driver %d: %s: memory grew by %d bytes", d, name, grown)
				}
				i.lie.Store(nil)
				_ = c.conn.Close()
				r.eventually(t, others, "0")
			}
		}
		r.wantNothingLeft(t, goroutines, files)
	}
}

// TestHostileServerAtEachMessage has a server lie before the session has begun. The
// client is told that there is none, or gets a session that works.
func TestHostileServerAtEachMessage(t *testing.T) {
	r, i := newHostileRig(t, onReactor, pgproxy.Config{ConnectTimeout: 5 * time.Second})
	r.warm(t)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	var lies []lie
	for _, l := range startupLies() {
		for _, at := range []byte("RSKZ") {
			l := l
			l.at = at
			lies = append(lies, l)
		}
	}
	lies = append(lies, loginLies()...)
	before, ended := heap(), 0
	for _, l := range lies {
		name := fmt.Sprintf("%s at %q", l.name, l.at)
		i.lie.Store(&l)
		c := r.dial(t)
		c.bytes(startupPacket(3<<16, "user", "agent"))
		c.next()
		c.send(&pgproto3.PasswordMessage{Password: token})
		got, err := untilReady(c)
		i.lie.Store(nil)
		if err == nil {
			c.query("SELECT 1234", "RowDescription", "row 1234", "SELECT 1", "ZI")
		} else if ended++; !bytes.Contains(got, []byte("C08")) || !errors.Is(err, io.EOF) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if bytes.Contains(got, []byte(hostileCanary)) {
			t.Errorf("%s: got %q", name, got)
		}
		_ = c.conn.Close()
	}
	if ended == 0 || ended == len(lies) {
		t.Errorf("%d of %d lies ended the session", ended, len(lies))
	}
	r.wantNothingLeft(t, goroutines, files)
	if grown := int64(heap()) - int64(before); grown > 32<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
}

// startupLies can be told in place of each message of the startup, the first of its type.
func startupLies() []lie {
	var lies []lie
	for name, message := range unasked() {
		lies = append(lies, lie{
			name: name + " before", hangsUp: strings.HasPrefix(name, "length") || strings.Contains(name, "giant"),
			tell: func(m []byte) []byte { return slices.Concat(message, m) },
		})
	}
	for name, message := range map[string][]byte{
		"version 3.99": said('v', "\x00\x03\x00\x63\x00\x00\x00\x00"), "version 2": said('v', "\x00\x02\x00\x00\x00\x00\x00\x00"),
		"options below zero": said('v', "\x00\x03\x00\x00\xff\xff\xff\xff"), "2 G of options": said('v', "\x00\x03\x00\x00\x7f\xff\xff\xff"),
		"version cut short": said('v', "\x00\x03"), "option without end": said('v', "\x00\x03\x00\x00\x00\x00\x00\x01_pq_.x"),
		"key of one byte": said('K', "\x00\x00\x00\x01x"), "key of 256": said('K', "\x00\x00\x00\x01"+strings.Repeat("k", 256)),
		"key of 257": said('K', "\x00\x00\x00\x01"+strings.Repeat("k", 257)), "key of 100000": said('K', "\x00\x00\x00\x01"+strings.Repeat("k", 100000)),
		"key cut short": said('K', "\x00\x00"), "ready in a transaction": said('Z', "T"), "encoding": said('S', "client_encoding\x00SJIS\x00"),
		"credential refused": said('E', "SFATAL\x00C28P01\x00Mcanary-9\x00\x00"), "starting": said('E', "SFATAL\x00C57P03\x00Mcanary-9\x00\x00"),
	} {
		lies = append(lies, lie{name: name + " instead", tell: func([]byte) []byte { return message }, hangsUp: true})
		lies = append(lies, lie{name: name + " before", tell: func(m []byte) []byte { return slices.Concat(message, m) }})
	}
	for name, message := range floods() {
		lies = append(lies, lie{name: "flood of " + name, forever: true, tell: func([]byte) []byte { return message }})
	}
	return append(lies, lie{name: "nothing more", hangsUp: true, tell: func([]byte) []byte { return nil }},
		lie{name: "flood of keys", forever: true, tell: func([]byte) []byte { return said('K', "\x00\x00\x00\x01abcd") }})
}

// loginLies are about the requests for authentication, of which there are the offer of
// SCRAM, its two answers and the acceptance.
func loginLies() []lie {
	bodies := map[string]string{
		"no code": "", "code cut short": "\x00\x00", "Kerberos 5": "\x00\x00\x00\x02", "MD5 without salt": "\x00\x00\x00\x05",
		"MD5": "\x00\x00\x00\x05salt", "GSS": "\x00\x00\x00\x07", "GSS continues": "\x00\x00\x00\x08xx", "SSPI": "\x00\x00\x00\x09",
		"code 99": "\x00\x00\x00\x63", "code -1": "\xff\xff\xff\xff", "SASL of nothing": "\x00\x00\x00\x0a", "SASL of an empty list": "\x00\x00\x00\x0a\x00",
		"SASL list without end": "\x00\x00\x00\x0aSCRAM-SHA-256", "SASL of others": "\x00\x00\x00\x0aPLAIN\x00OAUTHBEARER\x00\x00",
		"SASL long list": "\x00\x00\x00\x0a" + strings.Repeat("SCRAM-SHA-256\x00", 5000) + "\x00", "accepted and more": "\x00\x00\x00\x00more",
		"SASL of PLUS only": "\x00\x00\x00\x0aSCRAM-SHA-256-PLUS\x00\x00", "SASL continues with nothing": "\x00\x00\x00\x0b",
		"foreign nonce": "\x00\x00\x00\x0br=abc,s=c2FsdA==,i=4096", "no iterations": "\x00\x00\x00\x0br=abc,s=c2FsdA==,i=0",
		"2 G of iterations": "\x00\x00\x00\x0br=abc,s=c2FsdA==,i=2147483647", "SASL is final": "\x00\x00\x00\x0cv=abc", "final error": "\x00\x00\x00\x0ce=canary",
		"final of nothing": "\x00\x00\x00\x0c", "accepted": "\x00\x00\x00\x00", "password": "\x00\x00\x00\x03",
	}
	var lies []lie
	for name, body := range bodies {
		for skip := range 4 {
			l := instead(fmt.Sprintf("%s as request %d", name, skip), 'R', body)
			l.skip, l.hangsUp = skip, true
			lies = append(lies, l)
			l.forever, l.hangsUp, l.name = true, false, l.name+" for ever"
			lies = append(lies, l)
		}
	}
	return lies
}
