package pgproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/record"
)

func FuzzStartup(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x00user\x00agent\x00\x00"))
	f.Add([]byte("\x00\x03\x00\x02user\x00agent\x00_pq_.x\x001\x00\x00"))
	f.Add([]byte("\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02"))
	f.Add([]byte("\x00\x04\x00\x00"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) < 4 {
			return // readStartupPacket refuses it
		}
		s, err := parseStartup(packet)
		if err != nil {
			return
		}
		if s.cancel != nil {
			if n := len(s.cancel.key); n < 4 || n > 256 {
				t.Fatalf("a key of %d bytes", n)
			}
			return
		}
		version, negotiation := s.agreed()
		if version != protocol30 && version != protocol32 || version > s.protocol {
			t.Fatalf("asked for %x, agreed on %x", s.protocol, version)
		}
		if len(negotiation) > 0 {
			if n, err := bodyLength(negotiation); err != nil || n != len(negotiation)-headerSize {
				t.Fatalf("malformed answer %q", negotiation)
			}
		}
		runtime, refusal := runtimeParameters(s, "db")
		for name := range runtime {
			if refusal == nil && name != "client_encoding" && !passedParameter(name) {
				t.Fatalf("%q passes", name)
			}
		}
	})
}

func FuzzBind(f *testing.F) {
	f.Add([]byte("\x00s\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x02ab\x00\x01\x00\x01"))
	f.Add([]byte("p\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, ok := parseBind(body)
		if !ok {
			return
		}
		if len(b.params)*4 > len(body) || len(b.formats)*2 > len(body) {
			t.Fatalf("%d parameters and %d formats in %d bytes", len(b.params), len(b.formats), len(body))
		}
		if _, err := json.Marshal(b.params); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzLayout(f *testing.F) {
	f.Add([]byte("\x00\x01a\x00\x00\x00\x40\x00\x00\x01\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := parseLayout(body, nil)
		if err == nil && len(fields)*19 > len(body) {
			t.Fatalf("%d fields in %d bytes", len(fields), len(body))
		}
	})
}

// FuzzCopyResponse reads anything: what is taken for the response to a COPY must be
// nothing else when it is written down again.
func FuzzCopyResponse(f *testing.F) {
	f.Add([]byte("\x00\x00\x02\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x00\x01\x00\x01"))
	f.Add([]byte("\x01\x00\x02\x00\x01\x00\x00"))
	f.Add([]byte("\x00\xff\xff"))
	f.Add([]byte("\x02\x00\x00"))
	f.Add([]byte("\x00\x7f\xff\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		format, columns, err := parseCopyResponse(body)
		if err != nil {
			return
		}
		written := binary.BigEndian.AppendUint16([]byte{format}, uint16(columns))
		for range columns {
			written = append(written, 0, format)
		}
		if format > 1 || !bytes.Equal(written, body) {
			t.Fatalf("%q was read as %d columns in format %d", body, columns, format)
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add([]byte("SERROR\x00VERROR\x00C42601\x00Mno\x00\x00"))
	f.Add([]byte("Mno SQLSTATE\x00\x00"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := parseFields(body)
		if err != nil {
			return
		}
		s := &session{masksSeen: true}
		s.outgoing.in = body
		s.scrub(nil, msgError, fields)
		if n, err := bodyLength(s.outgoing.out); err != nil || n != len(s.outgoing.out)-headerSize {
			t.Fatalf("malformed answer %q", s.outgoing.out)
		}
		if _, err := parseFields(s.outgoing.out[headerSize:]); err != nil {
			t.Fatal(err)
		}
	})
}

// emptyCatalogue is what a server without tables answers.
func emptyCatalogue(t testing.TB) *shelf {
	t.Helper()
	s := &shelf{alterations: new(alterations)}
	s.newest.Store(&catalogue{contents: &contents{byOID: map[uint32]*relation{}, byName: map[relationName]*relation{}, startKnown: true}})
	return s
}

// detached is a session without sockets, whose policy masks a column.
func detached(t testing.TB, masks ...policy.Mask) *session {
	t.Helper()
	p, err := New(Config{Upstream: "127.0.0.1:1", Database: "db", UpstreamPlaintext: true, CatalogueMaxAge: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	g, err := intercept.NewGuard(context.Background(), intercept.GuardConfig{
		Session: "s", Recorder: new(record.Memory),
		Identity: identity.VerifierFunc(func(context.Context, identity.Proof) (policy.Identity, error) {
			return policy.Identity{Subject: "agent"}, nil
		}),
		Policy: policy.EvaluatorFunc(func(context.Context, *policy.Input) (policy.Decision, error) {
			return policy.Decision{Outcome: policy.Allow, Revision: "1", Masks: masks}, nil
		}),
		Source: credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
			return new(credsource.Credential), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close(context.Background(), "test") })
	if err := g.Identify(context.Background(), identity.Proof{}); err != nil {
		t.Fatal(err)
	}
	dial := func(context.Context, *credsource.Credential) error { return nil }
	if v, err := g.Connect(context.Background(), nil, dial); err != nil || !v.Forward {
		t.Fatal(err, v)
	}
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	up := &upstream{conn: near, status: statusIdle}
	shelf := emptyCatalogue(t)
	shelf.newest.Load().loaded = time.Now()
	s := newSession(p, g, up, shelf)
	s.wake, s.cancelUpstream = func() {}, func(context.Context) error { return nil }
	return s
}

// feed has the session take what a client sends; it stops where the session waits
// for the server.
func (s *session) feed(in []byte) {
	for {
		used, w, err := s.stepClient(in)
		in = in[used:]
		if err != nil || w == nil || w.until != nil {
			return
		}
		s.perform(context.Background(), w, nil)
	}
}

// FuzzHostileServer answers a masked query with anything: the session must not
// panic, and the value in a row whose layout is not known must not get through.
func FuzzHostileServer(f *testing.F) {
	canary := []byte("canary-4711")
	row := appendMessage(nil, msgDataRow, func(b []byte) []byte {
		return append(append(b, 0, 1, 0, 0, 0, byte(len(canary))), canary...)
	})
	f.Add(byte(0), []byte(nil), []byte(nil))
	f.Add(byte(1), []byte("1\x00\x00\x00\x04"), []byte("2\x00\x00\x00\x04"))
	f.Add(byte(1), []byte("1\x00\x00\x00\x042\x00\x00\x00\x04n\x00\x00\x00\x04"), []byte("C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05I"))
	f.Add(byte(2), []byte("E\x00\x00\x00\x0eC42601\x00\x00\x00"), []byte("Z\x00\x00\x00\x05I"))
	f.Add(byte(3), []byte("3\x00\x00\x00\x04"), []byte("E\x00\x00\x00\x05\x00Z\x00\x00\x00\x05I"))
	f.Add(byte(0), []byte("Z\x00\x00\x00\x05I"), []byte("N\x00\x00\x00\x05\x00"))
	f.Add(byte(0), []byte("S\x00\x00\x00\x20standard_conforming_strings\x00"), []byte("A\x00\x00\x00\x0a\x00\x00\x00\x00a\x00"))
	f.Fuzz(func(t *testing.T, kind byte, before, behind []byte) {
		if bytes.Contains(before, canary) || bytes.Contains(behind, canary) || !wholeMessages(before) {
			return
		}
		s := detached(t, policy.Mask{Table: "public.secret", Column: "value", Method: "redact"})
		switch kind % 5 {
		case 0:
			s.feed(appendQuery(nil, "SELECT value FROM secret"))
		case 1:
			s.feed(extendedBytes("SELECT value FROM secret"))
		case 2: // a failing message in the client's place
			s.feed(appendQuery(nil, "SELEC value FROM secret"))
		case 3: // behind a message of the gateway's own
			s.feed(append(appendMessage(nil, msgDescribe, func(b []byte) []byte { return append(b, 'S', 0) }), msgSync, 0, 0, 0, 4))
		case 4: // nothing has been asked
		}
		in := append(append(bytes.Clone(before), row...), behind...)
		for len(in) > 0 {
			used, release, err := s.stepServer(in)
			if bytes.Contains(release, canary) {
				t.Fatalf("released %q", release)
			}
			if err != nil || used == 0 {
				return
			}
			in = in[used:]
		}
	})
}

// wholeMessages reports whether what follows b is a message of its own.
func wholeMessages(b []byte) bool {
	for len(b) >= headerSize {
		n, err := bodyLength(b)
		if err != nil || headerSize+n > len(b) {
			return false
		}
		b = b[headerSize+n:]
	}
	return len(b) == 0
}

func extendedBytes(sql string) []byte {
	b := appendParse(nil, "", sql)
	b = append(b, msgBind, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, msgExecute, 0, 0, 0, 9, 0, 0, 0, 0, 0)
	return append(b, msgSync, 0, 0, 0, 4)
}

// FuzzClientBytes sends anything: the session must not panic, must send only
// whole messages, and nothing that was not recorded.
func FuzzClientBytes(f *testing.F) {
	f.Add(appendQuery(nil, "SELECT 1"))
	f.Add(extendedBytes("SELECT $1"))
	f.Add(appendQuery(appendQuery(nil, "PREPARE a AS SELECT 1"), "EXECUTE a"))
	f.Add([]byte("Q\x00\x00\x00\x05\x00D\x00\x00\x00\x06S\x00C\x00\x00\x00\x06P\x00H\x00\x00\x00\x04X\x00\x00\x00\x04"))
	f.Add([]byte("d\x00\x00\x00\x05xF\x00\x00\x00\x08abcd"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := detached(t)
		s.feed(in)
		for out := s.toServer; len(out) > 0; {
			if len(out) < headerSize {
				t.Fatalf("cut short: %q", out)
			}
			n := int(binary.BigEndian.Uint32(out[1:])) + 1
			if n > len(out) {
				t.Fatalf("cut short: %q", out)
			}
			switch out[0] {
			case msgQuery, msgFunctionCall, msgParse, msgBind, msgDescribe, msgExecute, msgClose, msgFlush, msgSync, msgTerminate:
			default:
				t.Fatalf("a message of type %q went to the server", out[0])
			}
			out = out[n:]
		}
	})
}

func FuzzBearer(f *testing.F) {
	f.Add([]byte("OAUTHBEARER\x00\x00\x00\x00\x20n,,\x01auth=Bearer abcdefghijklm\x01\x01"))
	f.Add([]byte("OAUTHBEARER\x00\xff\xff\xff\xff"))
	f.Add([]byte("OAUTHBEARER\x00\x00\x00\x00\x0cn,a=x,\x01auth"))
	f.Fuzz(func(t *testing.T, body []byte) {
		data, present, err := parseSASLInitial(body)
		if err != nil {
			return
		}
		if !present && len(data) != 0 {
			t.Fatal("absent data is there")
		}
		header, err := parseBearer(data)
		if err != nil {
			return
		}
		if string(data) != "n"+string(data[1:]) && data[0] != 'y' || bytes.Count(data, []byte("\x01auth=")) != 1 || !bytes.HasSuffix(data, []byte("\x01\x01")) {
			t.Fatalf("%q is accepted", data)
		}
		token, err := bearerToken(header)
		if err == nil && (token.IsEmpty() || !bytes.Contains(data, []byte(" "+token.Reveal()+"\x01"))) {
			t.Fatalf("%q gives %q", data, token.Reveal())
		}
	})
}

// What comes in place of a startup packet: encryption requests, TLS, packets.
func FuzzNegotiate(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x13\x00\x03\x00\x00user\x00agent\x00\x00"))
	f.Add([]byte("\x16\x03\x01\x00\x02\x01\x00"))
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x30\x16\x03\x01\x00\x02\x01\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, config := range []*tls.Config{nil, {}} {
			near, far := net.Pipe()
			go func() {
				go func() { _, _ = io.Copy(io.Discard, near) }()
				_, _ = near.Write(in)
				_ = near.Close()
			}()
			conn, s, err := negotiate(t.Context(), far, config)
			_ = far.Close()
			if conn == nil || err == nil && s == nil {
				t.Fatalf("got %v, %v, %v", conn, s, err)
			}
			if _, secured := conn.(*tls.Conn); secured && err == nil {
				t.Fatal("TLS without a certificate")
			}
		}
	})
}

// FuzzFunctionCall reads anything: what is taken for a FunctionCall must have all that
// it is judged by, and be nothing else when it is written down again.
func FuzzFunctionCall(f *testing.F) {
	f.Add([]byte("\x00\x00\x03\x67\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00"))
	f.Add([]byte("\x00\x00\x03\x67\x00\x01\x00\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00\x02\x00\xff\x00\x01"))
	f.Add([]byte("\x00\x00\x03\x67\x00\x02\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01a\x00\x00"))
	f.Add([]byte("\x00\x00\x03\x67\x00\x02\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x03\x67\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00"))
	f.Add([]byte("\x00\x00\x03\x67\x00\x00\xff\xff\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, ok := parseFunctionCall(body)
		if !ok {
			return
		}
		written := binary.BigEndian.AppendUint32(nil, c.function)
		formats, _, _ := cutFormats(body[4:])
		written = binary.BigEndian.AppendUint16(written, uint16(len(formats)))
		for _, format := range formats {
			written = binary.BigEndian.AppendUint16(written, uint16(format))
		}
		written = binary.BigEndian.AppendUint16(written, uint16(len(c.params)))
		for _, p := range c.params {
			if p.Null {
				written = append(written, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			value := []byte(p.Value)
			if p.Binary {
				value, _ = hex.DecodeString(p.Value)
			}
			written = append(binary.BigEndian.AppendUint32(written, uint32(len(value))), value...)
		}
		if written = append(written, 0, byte(c.format)); !bytes.Equal(written, body) {
			t.Fatalf("%q was read as %+v", body, c)
		}
	})
}

// Of the result of a call that reaches what is masked nothing gets through, whatever a
// server says before and behind it, and in whatever pieces.
func FuzzHostileFunctionResponse(f *testing.F) {
	canary := []byte("canary-4711")
	value := append([]byte{0, 0, 0, byte(len(canary))}, canary...)
	f.Add([]byte(nil), []byte(nil), 3)
	f.Add([]byte("N\x00\x00\x00\x05\x00"), []byte("Z\x00\x00\x00\x05I"), 40)
	f.Add([]byte("T\x00\x00\x00\x06\x00\x00"), []byte("D\x00\x00\x00\x06\x00\x00"), 1)
	f.Add([]byte("V\x00\x00\x00\x08\xff\xff\xff\xff"), []byte("V\x00\x00\x00\x08\xff\xff\xff\xff"), 7)
	f.Add([]byte("Z\x00\x00\x00\x05I"), []byte(nil), 100)
	f.Fuzz(func(t *testing.T, before, behind []byte, piece int) {
		if bytes.Contains(before, canary) || bytes.Contains(behind, canary) || !wholeMessages(before) || piece < 1 {
			return
		}
		s := detached(t, policy.Mask{Table: "public.secret", Column: "value", Method: "redact"})
		c := s.shelf.newest.Load()
		c.procedures = map[uint32]*procedure{16500: {schema: "public", name: "leak", result: 25, own: true}}
		s.feed(appendFunctionCall(nil, 16500))
		in := append(bytes.Clone(before), appendMessage(nil, msgFunctionResponse, func(b []byte) []byte { return append(b, value...) })...)
		in = append(in, behind...)
		for at, end := 0, 0; at < len(in); {
			end = min(len(in), max(end, at)+piece)
			used, release, err := s.stepServer(bytes.Clone(in[at:end]))
			if bytes.Contains(release, canary) {
				t.Fatalf("released %q", release)
			}
			if at += used; err != nil || used == 0 && end == len(in) {
				return
			}
		}
	})
}
