package copystream_test

import (
	"strings"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy/internal/copystream"
)

// count feeds data in two parts.
func count(c copystream.Config, data string, cut int) int64 {
	n := copystream.NewCounter(c)
	return n.Add([]byte(data[:cut])) + n.Add([]byte(data[cut:])) + n.End()
}

func countings() map[string]struct {
	config copystream.Config
	data   string
	rows   int64
} {
	type counting = struct {
		config copystream.Config
		data   string
		rows   int64
	}
	text := copystream.Config{Format: copystream.Text, Delimiter: '\t'}
	csv := copystream.Config{Format: copystream.CSV, Delimiter: ',', Quote: '"', Escape: '"'}
	other := copystream.Config{Format: copystream.CSV, Delimiter: ',', Quote: '"', Escape: '\\'}
	headed := func(c copystream.Config) copystream.Config { c.Header = true; return c }
	const row = "\x00\x02\x00\x00\x00\x02ab\xff\xff\xff\xff"
	const head = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	return map[string]counting{
		"text":                    {text, "aaaa\t1\nbbbbbbb\t2\n", 2},
		"without the last end":    {text, "aaaa\t1\nbbbbbbb\t2", 2},
		"escaped ends":            {text, "aa\\\naa\nbbbbbb\\\\\ncccccc\\\\\\\nc\n", 3},
		"empty lines":             {text, "\n\n\n", 3},
		"CR and LF":               {text, "aaaaa\r\nbbbbb\r\nccccc\r\n", 3},
		"CR":                      {text, "aaaaa\rbbbbb\rccccc\r", 3},
		"CR, escaped":             {text, "aa\\\raa\rbbbbb\r", 2},
		"the end":                 {text, "aaaa\n\\.\nbbbb\ncccc\n", 1},
		"the end with CR and LF":  {text, "aaaa\r\n\\.\r\nbbbb\r\ncccc\r\n", 1},
		"no end":                  {text, "aaaa\n\\.x\nbbbb\n", 3},
		"text with names":         {headed(text), "name\naaaaa\n", 1},
		"names alone":             {headed(text), "name\n", 0},
		"nothing":                 {text, "", 0},
		"csv":                     {csv, "a,1\nb,2\n", 2},
		"csv in quotes":           {csv, "\"a\nb\"\"\nc\",1\n\"\",\"\n\"\n", 2},
		"csv, CR and LF":          {csv, "\"a\r\n\"\r\nb\r\n", 2},
		"csv with names":          {headed(csv), "\"na\nme\"\na\nb", 2},
		"csv of ends":             {csv, "\\.\n\\.\n", 2},
		"csv, another escape":     {other, "\"a\\\"\n\\\\\",1\nb,2\n", 2},
		"csv, escape outside":     {other, "a\\\nb\\\"\n\"\n", 2},
		"binary":                  {copystream.Config{Format: copystream.Binary, Header: true}, head + row + row + "\xff\xff", 2},
		"binary, without columns": {copystream.Config{Format: copystream.Binary}, head + "\x00\x00\x00\x00\x00\x00\xff\xff", 3},
		"binary, extended":        {copystream.Config{Format: copystream.Binary}, head[:18] + "\x03abc" + row + "\xff\xff" + row, 1},
		"binary, without end":     {copystream.Config{Format: copystream.Binary}, head + row, 1},
	}
}

func TestCountAtEveryCut(t *testing.T) {
	for name, c := range countings() {
		for cut := range len(c.data) + 1 {
			if got := count(c.config, c.data, cut); got != c.rows {
				t.Fatalf("%s, cut at %d: %d rows, want %d", name, cut, got, c.rows)
			}
		}
	}
	var none *copystream.Counter
	if none.Add([]byte("a\nb\n")) != 0 || none.End() != 0 {
		t.Error("a nil Counter counts")
	}
}

// FuzzCount holds that cuts don't matter, and that plain lines are counted.
func FuzzCount(f *testing.F) {
	for _, c := range countings() {
		f.Add([]byte(c.data), uint8(c.config.Format), c.config.Escape, c.config.Header, len(c.data)/2)
	}
	f.Fuzz(func(t *testing.T, data []byte, format, escape uint8, header bool, cut int) {
		c := copystream.Config{Format: copystream.Format(format%3 + 1), Quote: '"', Escape: escape, Header: header}
		cut = min(max(cut, 0), len(data))
		whole, parts := count(c, string(data), 0), count(c, string(data), cut)
		if whole != parts || whole < 0 || whole > int64(len(data)) {
			t.Fatalf("%q: %d rows, %d if it is cut at %d", data, whole, parts, cut)
		}
		if plain := string(data); c.Format != copystream.Binary && !header && !strings.ContainsAny(plain, "\\\"\r"+string(rune(escape))) {
			if want := int64(strings.Count(strings.TrimSuffix(plain, "\n")+"\n", "\n")); plain != "" && whole != want {
				t.Fatalf("%q: %d rows, want %d", plain, whole, want)
			}
		}
	})
}
