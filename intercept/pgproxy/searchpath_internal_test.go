package pgproxy

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSearchPaths(t *testing.T) {
	c := catalogueForTests(t)
	for setting, want := range map[string]struct {
		schemas string // in their order
		home    string
		exposed bool
	}{
		"":                              {schemas: "pg_catalog"},
		`"$user", public`:               {schemas: "pg_catalog agent public", home: "agent"},
		"nowhere, other, public":        {schemas: "pg_catalog other public", home: "other"},
		" PUBLIC ,\tother, public":      {schemas: "pg_catalog public other", home: "public"},
		`"Public", "other"`:             {schemas: "pg_catalog other", home: "other"},
		"pg_temp, public":               {schemas: "pg_catalog public", home: "pg_temp"},
		"pg_catalog, public":            {schemas: "pg_catalog public", home: "pg_catalog"},
		"nowhere, pg_catalog, public":   {schemas: "pg_catalog public", home: "pg_catalog"},
		"pg_temp, pg_catalog, public":   {schemas: "pg_catalog public", home: "pg_temp"},
		"public, pg_catalog":            {schemas: "public pg_catalog", home: "public", exposed: true},
		"public, pg_temp, pg_catalog":   {schemas: "public pg_catalog", home: "public", exposed: true},
		`"", """quoted""", "unfinished`: {schemas: "pg_catalog"},
	} {
		p := c.pathOf(setting)
		if strings.Join(p.schemasInOrder, " ") != want.schemas || p.home != want.home || p.exposed != want.exposed {
			t.Errorf("%s: got %q, home %q, exposed %v", setting, p.schemasInOrder, p.home, p.exposed)
		}
	}
}

func TestSearchPathIsSplit(t *testing.T) {
	long := strings.Repeat("é", 40)
	for setting, want := range map[string][]string{
		"":                            nil,
		`"$user", public`:             {"$user", "public"},
		`a,b , "c ""d"", e", pg_temp`: {"a", "b", `c "d", e`, "pg_temp"},
		`Ünï, "Ünï"`:                  {"Ünï", "Ünï"},
		`AbC, "AbC"`:                  {"abc", "AbC"},
		long + `, "` + long + `"`:     {strings.Repeat("é", 31), strings.Repeat("é", 31)},
	} {
		if got := splitPath(setting); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", setting, got, want)
		}
	}
}

// Paths in use at the same time are bounded, and each means what it says.
func TestSearchPathsOfACatalogue(t *testing.T) {
	c := catalogueForTests(t)
	for range 2 {
		for n := range 3 * maxPaths {
			setting := strings.Repeat("x", n+1) + ", public"
			if got := c.withPath(setting); got.setting != setting || got.lookup("", "people") != c.byOID[1] {
				t.Fatalf("%s: got %q", setting, got.setting)
			}
			if len(c.along) > maxPaths {
				t.Fatalf("%d paths are held", len(c.along))
			}
		}
	}
	if other := c.withPath("other"); other.lookup("", "people") != nil || c.withPath("other") != other {
		t.Error("another path finds what is not in it, or is worked out each time")
	}
}

// Code along a path on which schemas of users come first is taken for theirs.
func TestSearchPathThatExposes(t *testing.T) {
	for path, want := range map[string]bool{"public": false, "pg_catalog, public": false, "public, pg_catalog": true} {
		for _, sql := range []string{"SELECT upper('x')", "SELECT 1 <+> 2", "SELECT similarity('a', 'b')"} {
			q, err := analyzeForTests(sql)
			if err != nil {
				t.Fatal(err)
			}
			r := catalogueForTests(t).withPath(path).resolve(q, noMeaning())
			if got := r.traced[0].unseen; got != want {
				t.Errorf("%s along %s: unseen %v", sql, path, got)
			}
		}
	}
}

func FuzzSearchPath(f *testing.F) {
	f.Add(`"$user", public`)
	f.Add(`a "b""c" ,,"`)
	f.Fuzz(func(t *testing.T, setting string) {
		names := splitPath(setting)
		quoted := make([]string, len(names))
		for i, name := range names {
			if len(name) > maxName || utf8.ValidString(setting) && !utf8.ValidString(name) {
				t.Errorf("%q: %q", setting, name)
			}
			quoted[i] = quoteIdentifier(name)
		}
		if again := splitPath(strings.Join(quoted, ", ")); !slices.Equal(again, names) {
			t.Errorf("%q: %q, then %q", setting, names, again)
		}
	})
}
