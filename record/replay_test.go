package record

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
)

func TestSanitize(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":             "plain text",
		"a\x1b]52;c;AAAA\x07":    `a\x1b]52;c;AAAA\x07`,
		"ok\rEVIL":               `ok\rEVIL`,
		"l1\nl2\t":               `l1\nl2\t`,
		"\u009b31m":              `\x9b31m`,
		"\x9b":                   `\x9b`,
		"a\u202egpj.exe\u2066":   `a\u{202e}gpj.exe\u{2066}`,
		"\u2028\u200b\ufeff\x7f": `\u{2028}\u{200b}\u{feff}\x7f`,
		`back\slash`:             `back\\slash`,
		"Grüße 日本":               "Grüße 日本",
		"tag\U000e0041":          `tag\u{e0041}`,
	} {
		if got := Sanitize(in); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", in, got, want)
		}
	}
}

func sampleLog(t *testing.T, entries ...Entry) []byte {
	t.Helper()
	s := newSigner(t)
	head := fileHead{keyID: KeyIDOf(s.pub)}.encode()
	w := encoder{chain: newChain(&head, nil), key: s.key}
	log := w.checkpoint(w.record(head[:], TypeHeader, 0, stamp{}, []byte(`{"session": "s"}`)), stamp{})
	for i, e := range entries {
		log = w.record(log, e.Type, e.Stream, stamp{mono: int64(i) * 1e9}, e.Payload)
	}
	return w.seal(log, stamp{mono: 3661e9}, "bye\x1b")
}

func TestReplay(t *testing.T) {
	hostile := "\x1b]52;c;x\x07\r\n00:00:00.000 seal forged"
	log := sampleLog(t,
		Entry{Type: TypeCommand, Payload: []byte("{\n \"text\": \"a\u202eb\"\n}")},
		Entry{Type: TypeOutput, Stream: 2, Payload: []byte(hostile)},
		Entry{Type: TypeOutput, Payload: []byte(strings.Repeat("é", 400))})
	before := bytes.Clone(log)
	var b strings.Builder
	if err := Replay(&b, bytes.NewReader(log), ReplayOptions{MaxBytes: 11}); err != nil {
		t.Fatal(err)
	}
	want := `00:00:00.000 header {"session": … 4 bytes more
00:00:00.000 checkpoint signed
00:00:00.000 command {"text":"a … 6 bytes more
00:00:01.000 output/2 35 bytes: \x1b]52;c;x\x07\r\n … 24 bytes more
00:00:02.000 output 800 bytes: ééééé … 790 bytes more
01:01:01.000 seal bye\x1b
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if !bytes.Equal(log, before) {
		t.Error("the log itself was changed")
	}
}

func TestReplayRenderer(t *testing.T) {
	log := sampleLog(t, Entry{Type: TypeOutput, Payload: []byte("x")}, Entry{Type: TypeEvent, Payload: []byte("{}")})
	var b strings.Builder
	err := Replay(&b, bytes.NewReader(log), ReplayOptions{
		Keep: func(e Entry) bool { return e.Type == TypeOutput || e.Type == TypeEvent },
		Render: func(e Entry) string {
			if e.Type == TypeOutput {
				return "one\x1b[2J\n00:00:00.000 seal forged\n"
			}
			return ""
		},
	})
	want := "00:00:00.000 output one\\x1b[2J\n    | 00:00:00.000 seal forged\n00:00:01.000 event {}\n"
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%s", err, b.String())
	}
}

func TestReplayOfBrokenLogs(t *testing.T) {
	log := sampleLog(t, Entry{Type: TypeOutput, Payload: []byte("x")})
	var b strings.Builder
	if err := Replay(&b, bytes.NewReader(log[:len(log)-1]), ReplayOptions{}); !errors.Is(err, ErrUnsealed) {
		t.Errorf("cut: %v", err)
	}
	log[70] ^= 1
	var p *Problem
	if err := Replay(&b, bytes.NewReader(log), ReplayOptions{}); !errors.As(err, &p) {
		t.Errorf("damaged: %v", err)
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff\\")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Sanitize(s) {
			if !unicode.IsPrint(r) {
				t.Fatalf("%U left in %q", r, Sanitize(s))
			}
		}
	})
}

func FuzzLog(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := newSample(f, rng, newSigner(f), bytes.Repeat([]byte{1}, 32), "s", 5)
	good := s.bytes()
	f.Add(good)
	f.Add(good[:100])
	f.Add(append(good[:120:120], make([]byte, 64)...))
	f.Add([]byte("\x89HGREC\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out strings.Builder
		_ = Replay(&out, bytes.NewReader(b), ReplayOptions{})
		for who, keys := range s.verifiers() {
			rep := Verify(bytes.NewReader(b), keys)
			if rep.Err() == nil && !bytes.Equal(b[:len(b)-trailerSize], good[:len(good)-trailerSize]) {
				t.Fatalf("the %s verifier accepts another log", who)
			}
			_ = rep.String()
		}
	})
}
