package pgproxy

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/headgate/gateway/policy"
)

func copyData(data string) []byte {
	return appendMessage(nil, msgCopyData, func(b []byte) []byte { return append(b, data...) })
}

// FuzzWalStream has both sides say anything around a stream of the log: the session must
// not panic, and nothing but replies and judged commands may get to the server.
func FuzzWalStream(f *testing.F) {
	both := []byte("W\x00\x00\x00\x07\x00\x00\x00")
	reply := append([]byte("r"), make([]byte, 33)...)
	f.Add(both, copyData(string(reply)), copyData("w"+string(make([]byte, 24))+"log"))
	f.Add(both, []byte("c\x00\x00\x00\x04"), []byte("c\x00\x00\x00\x04C\x00\x00\x00\x06S\x00Z\x00\x00\x00\x05I"))
	f.Add([]byte("E\x00\x00\x00\x05\x00Z\x00\x00\x00\x05I"), copyData(string(reply)), []byte(nil))
	f.Add(both, appendQuery(nil, "SELECT 1"), copyData("k"+string(make([]byte, 17))))
	f.Add(both, copyData("h"+string(make([]byte, 24))), []byte("E\x00\x00\x00\x05\x00Z\x00\x00\x00\x05I"))
	f.Add([]byte("H\x00\x00\x00\x07\x00\x00\x00"), []byte("f\x00\x00\x00\x05\x00"), copyData("x"))
	f.Fuzz(func(t *testing.T, begin, client, server []byte) {
		s := detached(t)
		s.replication = replicationLogical
		s.feed(appendQuery(nil, "START_REPLICATION SLOT s LOGICAL 0/0"))
		s.hear(begin)
		s.feed(client)
		s.hear(server)
		s.feed(client)
		for out := s.toServer; len(out) > 0; {
			n := int(binary.BigEndian.Uint32(out[1:])) + 1
			if n > len(out) {
				t.Fatalf("cut short: %q", out)
			}
			body := out[headerSize:n]
			switch out[0] {
			case msgQuery, msgCopyDone, msgTerminate, msgFlush, msgSync, msgParse, msgFunctionCall:
			case msgCopyData:
				if !isReply(body) && !bytes.Contains(client, []byte("COPY")) {
					t.Fatalf("%q went to the server", body)
				}
			case msgCopyFail:
				if !bytes.Contains(client, []byte("COPY")) {
					t.Fatalf("CopyFail went to the server")
				}
			default:
				t.Fatalf("a message of type %q went to the server", out[0])
			}
			out = out[n:]
		}
	})
}

// hear has the session take what a server sends.
func (s *session) hear(in []byte) (released []byte) {
	for len(in) > 0 {
		used, release, err := s.stepServer(in)
		released = append(released, release...)
		if err != nil || used == 0 {
			break
		}
		in = in[used:]
	}
	return released
}

// A server that sends what was not asked for, or what has no place in a stream, is not
// listened to.
func TestStreamOfHostileServer(t *testing.T) {
	const both, out, done = "W\x00\x00\x00\x07\x00\x00\x00", "H\x00\x00\x00\x07\x00\x00\x00", "c\x00\x00\x00\x04"
	piece := string(copyData("w" + string(make([]byte, 24)) + "canary"))
	archive := string(copyData("dcanary"))
	long := "d\x00\x10\x00\x00x" + string(make([]byte, 30_000)) + "canary"
	for name, test := range map[string]struct {
		command, answer string
		mask            bool
		passes          bool
	}{
		"log":                  {"START_REPLICATION 0/0", both + piece, false, true},
		"files":                {"BASE_BACKUP", out + archive + done, false, true},
		"masked":               {"START_REPLICATION 0/0", both + piece, true, false},
		"masked files":         {"BASE_BACKUP", out + archive, true, false},
		"data without begin":   {"START_REPLICATION 0/0", piece, false, false},
		"copy in place of log": {"START_REPLICATION 0/0", out + piece, false, false},
		"log in place of rows": {"IDENTIFY_SYSTEM", both + piece, true, false},
		"files in its place":   {"SHOW work_mem", out + archive, true, false},
		"of another type":      {"START_REPLICATION 0/0", both + archive, false, false},
		"of an unknown type":   {"BASE_BACKUP", out + string(copyData("xcanary")), false, false},
		"long, unknown":        {"BASE_BACKUP", out + long, false, false},
		"cut short":            {"START_REPLICATION 0/0", both + string(copyData("wcanary")), false, false},
		"empty":                {"START_REPLICATION 0/0", both + string(copyData("")) + piece, false, false},
		"twice begun":          {"START_REPLICATION 0/0", both + both + piece, false, false},
		"behind its end":       {"START_REPLICATION 0/0", both + done + piece, false, false},
	} {
		var masks []policy.Mask
		if test.mask {
			masks = append(masks, policy.Mask{Table: "public.secret", Column: "value", Method: "redact"})
		}
		s := detached(t, masks...)
		s.replication = replicationPhysical
		s.feed(appendQuery(nil, test.command))
		if released := s.hear([]byte(test.answer)); bytes.Contains(released, []byte("canary")) != test.passes {
			t.Errorf("%s: released %.200q", name, released)
		}
	}
}
