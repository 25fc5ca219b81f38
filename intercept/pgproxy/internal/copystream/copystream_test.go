package copystream_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
)

const canary = "canary"

func config(format copystream.Format, masked bool) copystream.Config {
	c := copystream.Config{Format: format, Delimiter: '\t', NullText: `\N`, Columns: []bool{false, masked}, MaxValue: 1 << 10,
		Value: func(dst []byte, _ int, _ []byte) ([]byte, bool) { return append(dst, "[x\n,\"\\]"...), false }}
	if format == copystream.CSV {
		c.Delimiter, c.Quote, c.Escape, c.NullText = ',', '"', '"', ""
	}
	return c
}

// run feeds data in two parts.
func run(t *testing.T, c copystream.Config, data []byte, cut int) ([]byte, error) {
	t.Helper()
	s, err := copystream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Write(nil, data[:cut])
	if err == nil {
		out, err = s.Write(out, data[cut:])
	}
	return out, errors.Join(err, s.End())
}

func TestEveryCut(t *testing.T) {
	for _, c := range []struct {
		format   copystream.Format
		in, want string
	}{
		{copystream.Text, "a\\\tb\tcanary\\\n\\x41\nc\t\\N\n", "a\\\tb\t[x\\n,\"\\\\]\nc\t\\N\n"},
		{copystream.CSV, "\"a\nb\",\"ca\"\"nary,\"\n,\nx,canary\n", "\"a\nb\",\"[x\n,\"\"\\]\"\n,\nx,\"[x\n,\"\"\\]\"\n"},
		{copystream.Binary, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x06canary\x00\x02\x00\x00\x00\x01z\xff\xff\xff\xff\xff\xff",
			"PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x07[x\n,\"\\]\x00\x02\x00\x00\x00\x01z\xff\xff\xff\xff\xff\xff"},
	} {
		for cut := range len(c.in) + 1 {
			got, err := run(t, config(c.format, true), []byte(c.in), cut)
			if err != nil || string(got) != c.want {
				t.Fatalf("%d cut at %d: got %q, %v, want %q", c.format, cut, got, err, c.want)
			}
		}
	}
}

func TestLongValuesBecomeNull(t *testing.T) {
	c := config(copystream.Text, true)
	got, err := run(t, c, []byte("a\t"+string(bytes.Repeat([]byte("canary"), 1000))+"\n"), 100)
	if err != nil || string(got) != "a\t\\N\n" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// A value that is written as NULL is must not tell that it is equal to what the
// client has chosen for NULL.
func TestNewRefusesWhatTellsValues(t *testing.T) {
	c := config(copystream.Text, true)
	c.NullText = `ca\nary`
	if _, err := copystream.New(c); !errors.Is(err, copystream.ErrOptions) {
		t.Errorf("NULL %q: %v", c.NullText, err)
	}
	c = config(copystream.Text, true)
	c.Delimiter = 'N'
	if _, err := copystream.New(c); !errors.Is(err, copystream.ErrOptions) {
		t.Errorf("delimiter N: %v", err)
	}
	if _, err := copystream.New(copystream.Config{}); !errors.Is(err, copystream.ErrOptions) {
		t.Errorf("zero Config: %v", err)
	}
}

// FuzzStream holds every format to three rules: with nothing to rewrite the data
// goes through unchanged, cuts don't matter, and what stands in a column that is
// rewritten is not in the output.
func FuzzStream(f *testing.F) {
	f.Add([]byte("a\tcanary\n"), uint8(1), 3)
	f.Add([]byte("a,\"ca\"\"nary\"\n"), uint8(2), 5)
	f.Add([]byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01a\x00\x00\x00\x06canary\xff\xff"), uint8(3), 20)
	f.Fuzz(func(t *testing.T, data []byte, format uint8, cut int) {
		fm := copystream.Format(format%3 + 1)
		cut = min(max(cut, 0), len(data))
		same, err := run(t, config(fm, false), data, cut)
		if err == nil && !bytes.Equal(same, data) {
			t.Fatalf("changed %q to %q", data, same)
		}
		once, err1 := run(t, config(fm, true), data, 0)
		twice, err2 := run(t, config(fm, true), data, cut)
		if (err1 == nil) != (err2 == nil) || err1 == nil && !bytes.Equal(once, twice) {
			t.Fatalf("cut at %d: %q, %v; in one: %q, %v", cut, twice, err2, once, err1)
		}
		c := config(fm, true)
		c.Columns = []bool{true, true}
		hidden, err := run(t, c, data, cut)
		if err == nil && bytes.Contains(hidden, []byte(canary)) {
			t.Fatalf("%q shows %q", data, hidden)
		}
	})
}

// Neither quotes nor NULL tell anything of a value that is rewritten.
func TestRewrittenValuesLookAlike(t *testing.T) {
	c := config(copystream.CSV, true)
	c.Columns = []bool{false, true}
	c.Value = func(dst []byte, _ int, _ []byte) ([]byte, bool) { return append(dst, "masked"...), false }
	c.Null = func(dst []byte, _ int) ([]byte, bool) { return append(dst, "masked"...), false }
	for _, value := range []string{"plain", `"with, comma"`, `""`, ""} {
		got, err := run(t, c, []byte("a,"+value+"\n"), 1)
		if err != nil || string(got) != "a,masked\n" {
			t.Errorf("%s became %q, %v", value, got, err)
		}
	}
	c.Format, c.Delimiter, c.NullText = copystream.Text, '\t', `\N`
	if got, err := run(t, c, []byte("a\t\\N\nb\t\n"), 1); err != nil || string(got) != "a\tmasked\nb\tmasked\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
