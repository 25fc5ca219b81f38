// Package recordtest holds the suite that every record.Recorder must pass.
package recordtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headgate/gateway/record"
)

// A Fixture is a recorder under test.
type Fixture struct {
	Recorder record.Recorder
	// Read returns the entries of a closed session's log in order: the header
	// first, then what was appended, without what the log writes for itself.
	Read func(session string) ([]record.Entry, error)
}

// Run tests the recorders that newFixture returns. Each call must return a new
// one, which newFixture closes itself, by t.Cleanup.
func Run(t *testing.T, newFixture func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"header first":       headerFirst,
		"order and content":  orderAndContent,
		"payload not kept":   payloadNotKept,
		"times":              times,
		"long output":        longOutput,
		"too large":          tooLarge,
		"types":              types,
		"closed":             closed,
		"exclusive":          exclusive,
		"exclusive at once":  exclusiveAtOnce,
		"session ids":        sessionIDs,
		"canceled":           canceled,
		"concurrent appends": concurrentAppends,
		"sessions apart":     sessionsApart,
	} {
		t.Run(name, func(t *testing.T) { test(t, newFixture(t)) })
	}
}

func open(t *testing.T, f Fixture, session string) record.Log {
	t.Helper()
	l, err := f.Recorder.Open(context.Background(), record.Header{
		Session: session, Target: "db", Protocol: "postgres", Labels: map[string]string{"team": "a"},
	})
	if err != nil {
		t.Fatalf("Open(%q): %v", session, err)
	}
	return l
}

func add(t *testing.T, l record.Log, e record.Entry) {
	t.Helper()
	if err := l.Append(e); err != nil {
		t.Fatalf("Append(%v): %v", e.Type, err)
	}
}

// read closes l and returns what follows the header.
func read(t *testing.T, f Fixture, l record.Log, session string) []record.Entry {
	t.Helper()
	if err := l.Close("done"); err != nil {
		t.Fatalf("Close: %v", err)
	}
	entries, err := f.Read(session)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	if len(entries) == 0 || entries[0].Type != record.TypeHeader {
		t.Fatalf("%d entries, no header in front", len(entries))
	}
	return entries[1:]
}

func headerFirst(t *testing.T, f Fixture) {
	if err := open(t, f, "s1").Close("nothing happened"); err != nil {
		t.Fatal(err)
	}
	entries, err := f.Read("s1")
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d entries, %v; want the header", len(entries), err)
	}
	var h record.Header
	if err := json.Unmarshal(entries[0].Payload, &h); err != nil {
		t.Fatal(err)
	}
	if h.Session != "s1" || h.Target != "db" || h.Protocol != "postgres" || h.Labels["team"] != "a" || h.Started.IsZero() {
		t.Errorf("header %+v", h)
	}
}

func orderAndContent(t *testing.T, f Fixture) {
	l := open(t, f, "s1")
	want := make([]record.Entry, 0, 200)
	for i := range 200 {
		e := record.Entry{Type: record.TypeEvent, Payload: fmt.Appendf(nil, `{"n":%d}`, i)}
		if i%3 == 0 {
			e = record.Entry{Type: record.TypeOutput, Stream: uint8(i % 5), Payload: bytes.Repeat([]byte{byte(i)}, i*i)}
		}
		want = append(want, e)
		add(t, l, e)
	}
	got := read(t, f, l, "s1")
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Type != want[i].Type || got[i].Stream != want[i].Stream || !bytes.Equal(got[i].Payload, want[i].Payload) {
			t.Fatalf("entry %d differs", i)
		}
	}
}

func payloadNotKept(t *testing.T, f Fixture) {
	l := open(t, f, "s1")
	p := []byte("first")
	add(t, l, record.Entry{Type: record.TypeOutput, Payload: p})
	copy(p, "XXXXX")
	if got := read(t, f, l, "s1"); string(got[0].Payload) != "first" {
		t.Errorf("recorded %q after the caller reused its buffer", got[0].Payload)
	}
}

func times(t *testing.T, f Fixture) {
	l := open(t, f, "s1")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	add(t, l, record.Entry{Type: record.TypeEvent, Time: at, Payload: []byte("{}")})
	add(t, l, record.Entry{Type: record.TypeEvent, Payload: []byte("{}")})
	got := read(t, f, l, "s1")
	if !got[0].Time.Equal(at) {
		t.Errorf("time %v, want %v", got[0].Time, at)
	}
	if got[1].Time.IsZero() {
		t.Error("an entry without a time did not get one")
	}
}

func longOutput(t *testing.T, f Fixture) {
	l := open(t, f, "s1")
	want := bytes.Repeat([]byte("0123456789abcdef"), (2*record.MaxPayload+4096)/16)
	add(t, l, record.Entry{Type: record.TypeOutput, Stream: 1, Payload: want})
	var got []byte
	for _, e := range read(t, f, l, "s1") {
		if e.Type != record.TypeOutput || e.Stream != 1 || len(e.Payload) > record.MaxPayload {
			t.Fatalf("part: %v/%d of %d bytes", e.Type, e.Stream, len(e.Payload))
		}
		got = append(got, e.Payload...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes differ from the %d written", len(got), len(want))
	}
}

func tooLarge(t *testing.T, f Fixture) {
	l := open(t, f, "s1")
	err := l.Append(record.Entry{Type: record.TypeCommand, Payload: make([]byte, record.MaxPayload+1)})
	if !errors.Is(err, record.ErrTooLarge) {
		t.Errorf("Append: %v, want ErrTooLarge", err)
	}
	mustStayFailed(t, f, l, record.ErrTooLarge)
}

// mustStayFailed checks that a caller that ignores a refusal gets no further.
func mustStayFailed(t *testing.T, f Fixture, l record.Log, want error) {
	t.Helper()
	if err := l.Append(record.Entry{Type: record.TypeEvent, Payload: []byte("{}")}); !errors.Is(err, want) {
		t.Errorf("Append after a refusal: %v, want %v", err, want)
	}
	if got := read(t, f, l, "s1"); len(got) != 0 {
		t.Errorf("%d entries recorded, want none", len(got))
	}
}

func types(t *testing.T, f Fixture) {
	for i, typ := range []record.Type{0, record.TypeHeader, record.TypeLoss, record.TypeCheckpoint, record.TypeSeal, 13, 255} {
		l := open(t, f, fmt.Sprintf("type-%d", i))
		if err := l.Append(record.Entry{Type: typ, Payload: []byte("{}")}); !errors.Is(err, record.ErrType) {
			t.Errorf("Append of %v: %v, want ErrType", typ, err)
		}
		if err := l.Close("done"); err != nil {
			t.Error(err)
		}
	}
	l := open(t, f, "s1")
	_ = l.Append(record.Entry{})
	mustStayFailed(t, f, l, record.ErrType)
}

func closed(t *testing.T, f Fixture) {
	l := open(t, f, "s1")
	add(t, l, record.Entry{Type: record.TypeEvent, Payload: []byte("{}")})
	for range 3 {
		if err := l.Close("done"); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if err := l.Append(record.Entry{Type: record.TypeEvent}); !errors.Is(err, record.ErrClosed) {
			t.Errorf("Append after Close: %v, want ErrClosed", err)
		}
	}
	if got := read(t, f, l, "s1"); len(got) != 1 {
		t.Errorf("%d entries, want 1", len(got))
	}
}

func exclusive(t *testing.T, f Fixture) {
	l := open(t, f, "Session-1")
	for _, id := range []string{"Session-1", "session-1", "SESSION-1"} {
		if _, err := f.Recorder.Open(context.Background(), record.Header{Session: id}); !errors.Is(err, record.ErrExists) {
			t.Errorf("Open(%q) while open: %v, want ErrExists", id, err)
		}
	}
	_ = l.Close("done")
	if _, err := f.Recorder.Open(context.Background(), record.Header{Session: "Session-1"}); !errors.Is(err, record.ErrExists) {
		t.Errorf("Open again: %v, want ErrExists", err)
	}
}

func exclusiveAtOnce(t *testing.T, f Fixture) {
	var wg sync.WaitGroup
	logs := make(chan record.Log, 8)
	for range cap(logs) {
		wg.Go(func() {
			if l, err := f.Recorder.Open(context.Background(), record.Header{Session: "same"}); err == nil {
				logs <- l
			} else if !errors.Is(err, record.ErrExists) {
				t.Errorf("Open: %v", err)
			}
		})
	}
	wg.Wait()
	if len(logs) != 1 {
		t.Fatalf("%d logs of one session", len(logs))
	}
	_ = (<-logs).Close("done")
}

func sessionIDs(t *testing.T, f Fixture) {
	bad := []string{
		"", ".", "..", "../x", "a/b", `a\b`, "a\x00b", ".hidden", "-flag", "a b", "a\n", "é", "a:b", "\u202ex",
		strings.Repeat("x", 65),
	}
	for _, id := range bad {
		if _, err := f.Recorder.Open(context.Background(), record.Header{Session: id}); !errors.Is(err, record.ErrSession) {
			t.Errorf("Open(%q): %v, want ErrSession", id, err)
		}
	}
	for _, id := range []string{"a", "A.b_c-9", strings.Repeat("x", 64)} {
		_ = open(t, f, id).Close("done")
	}
}

func canceled(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Recorder.Open(ctx, record.Header{Session: "s1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	_ = open(t, f, "s1").Close("the id was still free")
}

func concurrentAppends(t *testing.T, f Fixture) {
	const writers, each = 8, 50
	l := open(t, f, "s1")
	var wg sync.WaitGroup
	for w := range uint8(writers) {
		wg.Go(func() {
			for i := range each {
				if err := l.Append(record.Entry{Type: record.TypeOutput, Stream: w, Payload: []byte{byte(i)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := [writers]byte{}
	got := read(t, f, l, "s1")
	for _, e := range got {
		if e.Payload[0] != next[e.Stream] {
			t.Fatalf("writer %d: entry %d where %d was due", e.Stream, e.Payload[0], next[e.Stream])
		}
		next[e.Stream]++
	}
	if len(got) != writers*each {
		t.Errorf("%d entries, want %d", len(got), writers*each)
	}
}

func sessionsApart(t *testing.T, f Fixture) {
	a, b := open(t, f, "a"), open(t, f, "b")
	for range 10 {
		add(t, a, record.Entry{Type: record.TypeOutput, Payload: []byte("a")})
		add(t, b, record.Entry{Type: record.TypeOutput, Payload: []byte("b")})
	}
	for session, l := range map[string]record.Log{"a": a, "b": b} {
		for _, e := range read(t, f, l, session) {
			if string(e.Payload) != session {
				t.Errorf("log of %s holds %q", session, e.Payload)
			}
		}
	}
}
