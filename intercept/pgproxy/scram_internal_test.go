package pgproxy

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// A scramServer is the other side of the exchange, for the password "pencil".
type scramServer struct {
	salt       []byte
	iterations int
	// twist changes what the server says last.
	twist func(final string) string

	answers bytes.Buffer // to the client
	first   string       // client-first-message-bare
	sent    string
	proven  bool
}

func askFor(mechanisms ...string) string {
	return auth(10, strings.Join(mechanisms, "\x00")+"\x00\x00")
}

// Write takes one message of the client.
func (s *scramServer) Write(b []byte) (int, error) {
	body := string(b[headerSize:])
	if s.sent == "" {
		_, message, _ := strings.Cut(body, "\x00") // behind the mechanism
		s.first = strings.TrimPrefix(message[4:], "n,,")
		_, nonce, _ := strings.Cut(s.first, "r=")
		s.sent = fmt.Sprintf("r=%sserver,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(s.salt), s.iterations)
		s.answers.WriteString(auth(11, s.sent))
		return len(b), nil
	}
	bare, proof, _ := strings.Cut(body, ",p=")
	k, err := newScramKey("pencil", s.salt, s.iterations)
	if err != nil {
		return 0, err
	}
	signed := []byte(s.first + "," + s.sent + "," + bare)
	client, err := base64.StdEncoding.DecodeString(proof)
	if err != nil {
		return 0, err
	}
	for i, c := range hmacOf(k.stored[:], signed) {
		client[i] ^= c
	}
	stored := sha256.Sum256(client)
	s.proven = hmac.Equal(stored[:], k.stored[:])
	final := "v=" + base64.StdEncoding.EncodeToString(hmacOf(k.server[:], signed))
	if s.twist != nil {
		final = s.twist(final)
	}
	s.answers.WriteString(auth(12, final) + hello + readyIdle)
	return len(b), nil
}

// login has a greeter log in and returns what pgconn sees.
func (s *scramServer) login(keys *scramKeys, password string, mustBind bool) (string, error) {
	s.answers.WriteString(askFor("SCRAM-SHA-256"))
	x := &scramExchange{keys: keys, server: "s:1", user: "u", password: password}
	seen, err := io.ReadAll(&greeter{Reader: &s.answers, server: s, login: x, mustBind: mustBind})
	return string(seen), err
}

// pgconn sees a server that accepts, and PBKDF2 runs once for a password, a salt
// and a count.
func TestScramLogin(t *testing.T) {
	keys := new(scramKeys)
	var last *rememberedKey
	for i, test := range []struct {
		salt       string
		iterations int
		fresh      bool
	}{{"salt", 4096, true}, {"salt", 4096, false}, {"other", 4096, true}, {"other", 4097, true}, {"other", 4097, false}} {
		s := &scramServer{salt: []byte(test.salt), iterations: test.iterations}
		seen, err := s.login(keys, "pencil", false)
		if err != nil || seen != hello+readyIdle || !s.proven {
			t.Fatalf("%d: %q, %v, proven %v", i, seen, err, s.proven)
		}
		now := keys.known[scramUser{"s:1", "u"}]
		if (now != last) != test.fresh {
			t.Errorf("%d: keys made again %v, want %v", i, now != last, test.fresh)
		}
		last = now
	}
	s := &scramServer{salt: []byte("other"), iterations: 4097}
	if _, err := s.login(keys, "eraser", false); err == nil || s.proven {
		t.Errorf("another password was taken for the one remembered: %v, proven %v", err, s.proven)
	}
	if keys.known[scramUser{"s:1", "u"}] == last {
		t.Error("the keys of a password that is no longer used are kept")
	}
	if keys.forget("s:1", "u"); len(keys.known) != 0 {
		t.Error("not forgotten")
	}
}

func TestScramKeysAreBounded(t *testing.T) {
	keys := new(scramKeys)
	for i := range maxScramKeys + 10 {
		if _, err := keys.of("s", fmt.Sprint(i), "p", []byte("salt"), 1); err != nil || len(keys.known) > maxScramKeys {
			t.Fatalf("%d keys, %v", len(keys.known), err)
		}
	}
}

// A server that does not prove that it knows the password is not believed, and
// gets the password by no other way.
func TestScramServerThatCheats(t *testing.T) {
	for name, twist := range map[string]func(string) string{
		"another signature": func(f string) string { return "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32)) },
		"no signature":      func(string) string { return "v=" },
		"an error":          func(string) string { return "e=other-error" },
		"nothing":           func(string) string { return "" },
	} {
		s := &scramServer{salt: []byte("salt"), iterations: 4096, twist: twist}
		if seen, err := s.login(new(scramKeys), "pencil", false); !errors.Is(err, errScram) || strings.Contains(seen, hello) {
			t.Errorf("%s: %q, %v", name, seen, err)
		}
	}
	ask := askFor("SCRAM-SHA-256")
	first := auth(11, "r=NONCEserver,s=c2FsdA==,i=4096")
	for name, test := range map[string]struct {
		script string
		bind   bool
	}{
		"accepted before the proof":  {ask + hello, false},
		"accepted after half of it":  {ask + first + hello, false},
		"the password asked for":     {ask + auth(3, ""), false},
		"its MD5 asked for":          {ask + auth(5, "salt"), false},
		"asked twice":                {ask + ask, false},
		"salted twice":               {ask + first + first, false},
		"proof before the salt":      {ask + auth(12, "v=AAAA"), false},
		"salt before the question":   {first, false},
		"another nonce":              {ask + auth(11, "r=zzz,s=c2FsdA==,i=4096"), false},
		"no nonce of its own":        {ask + auth(11, "r=NONCE,s=c2FsdA==,i=4096"), false},
		"no salt":                    {ask + auth(11, "r=NONCEx,i=4096"), false},
		"an extension":               {ask + auth(11, "m=x,r=NONCEx,s=c2FsdA==,i=4096"), false},
		"no iterations":              {ask + auth(11, "r=NONCEx,s=c2FsdA==,i=0"), false},
		"unbound":                    {ask, true},
		"unbound, with nothing":      {hello, true},
		"unbound, with the password": {auth(3, ""), true},
	} {
		x := &scramExchange{keys: new(scramKeys), password: "pencil"}
		server := &nonceServer{script: test.script, nonce: &x.nonce}
		seen, err := io.ReadAll(&greeter{Reader: server, server: io.Discard, login: x, mustBind: test.bind})
		if err == nil || len(seen) != 0 {
			t.Errorf("%s: %q, %v", name, seen, err)
		}
	}
}

// A nonceServer says one message of a script at a time, with the client's nonce in
// place of NONCE.
type nonceServer struct {
	script string
	nonce  *string
}

func (s *nonceServer) Read(b []byte) (int, error) {
	if s.script == "" {
		return 0, io.EOF
	}
	n, _ := bodyLength([]byte(s.script))
	one := s.script[:headerSize+n]
	s.script = s.script[len(one):]
	if text, ok := strings.CutPrefix(one[headerSize:], "\x00\x00\x00\x0b"); ok {
		one = auth(11, strings.Replace(text, "NONCE", *s.nonce, 1))
	}
	return copy(b, one), nil
}

// What is not for the exchange is pgconn's, unchanged.
func TestScramLeavesTheRest(t *testing.T) {
	for name, test := range map[string]struct{ password, script string }{
		"a password as it is":      {"pencil", auth(3, "") + hello + readyIdle},
		"MD5":                      {"pencil", auth(5, "salt") + hello + readyIdle},
		"no login":                 {"pencil", hello + message('S', "a\x00b\x00") + readyIdle + "more"},
		"another mechanism":        {"pencil", askFor("OAUTHBEARER")},
		"a list without its end":   {"pencil", auth(10, "SCRAM-SHA-256\x00")},
		"a password for SASLprep":  {"p\u00e9ncil", askFor("SCRAM-SHA-256")},
		"no password":              {"", askFor("SCRAM-SHA-256")},
		"an error":                 {"pencil", message('E', "SFATAL\x00C28P01\x00\x00")},
		"a message that is no one": {"pencil", message('R', "") + message('R', "\x00")},
	} {
		var sent bytes.Buffer
		x := &scramExchange{keys: new(scramKeys), password: test.password}
		seen, err := io.ReadAll(&greeter{Reader: strings.NewReader(test.script), server: &sent, login: x})
		if err != nil || string(seen) != test.script || sent.Len() != 0 {
			t.Errorf("%s: %q, sent %q, %v", name, seen, sent.String(), err)
		}
	}
}

// FuzzScramServer has a server say anything: the exchange never holds without the
// proof.
func FuzzScramServer(f *testing.F) {
	f.Add("r=NONCEserver,s=c2FsdA==,i=4096", "v=AAAA")
	f.Add("r=NONCE,s=,i=1", "e=x")
	f.Add("", "")
	keys := new(scramKeys)
	f.Fuzz(func(t *testing.T, first, final string) {
		x := &scramExchange{keys: keys, password: "pencil"}
		x.begin([]byte("SCRAM-SHA-256\x00\x00"), nil)
		if _, _, n, err := x.parseFirst([]byte(strings.Replace(first, "NONCE", x.nonce, 1))); err != nil || n > 4096 {
			return
		}
		if _, err := x.proceed([]byte(strings.Replace(first, "NONCE", x.nonce, 1))); err != nil {
			return
		}
		if x.finish([]byte(final)) == nil || x.verified {
			t.Errorf("%q and %q are believed", first, final)
		}
	})
}
