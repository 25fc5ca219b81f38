package pgproxy

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A lookupPath is where names without a schema are looked up.
type lookupPath struct {
	// setting is the server's search_path that it was made of.
	setting string
	// schemasInOrder are the schemas that the server looks into, one after the other,
	// temporary ones left out.
	schemasInOrder []string
	// home is the schema in which an unqualified new name is made.
	home string
	// exposed says that schemas of users come before pg_catalog, so that what they
	// hold is found in place of what is built in.
	exposed bool
}

// pathOf works out where a setting leads: schemas that do not exist, or that the
// user may not look into, are passed over.
func (c *catalogue) pathOf(setting string) lookupPath {
	p := lookupPath{setting: setting}
	explicit := false
	for _, name := range splitPath(setting) {
		if name == "$user" {
			name = c.user
		}
		if name != "pg_temp" && !c.schemas[name] {
			continue
		}
		if p.home == "" {
			p.home = name
		}
		if name == "pg_temp" {
			continue
		}
		explicit = explicit || name == "pg_catalog"
		p.exposed = p.exposed || explicit && name == "pg_catalog" && len(p.schemasInOrder) > 0
		if !slices.Contains(p.schemasInOrder, name) {
			p.schemasInOrder = append(p.schemasInOrder, name)
		}
	}
	if !explicit {
		p.schemasInOrder = append([]string{"pg_catalog"}, p.schemasInOrder...)
	}
	return p
}

// splitPath parses a search_path: a list of identifiers, quoted where needed. What
// is not well formed the server does not have.
func splitPath(setting string) []string {
	var names []string
	for rest := setting; ; {
		rest = strings.TrimLeft(rest, pathSpace+",")
		if rest == "" {
			return names
		}
		var name string
		if rest[0] == '"' {
			name, rest = quotedIdentifier(rest)
		} else {
			end := strings.IndexAny(rest, pathSpace+",")
			if end < 0 {
				end = len(rest)
			}
			name, rest = lowerASCII(rest[:end]), rest[end:]
		}
		names = append(names, clipName(name))
	}
}

// pathSpace is what the server takes for space in a list of identifiers.
const pathSpace = " \t\n\r\f\v"

// quotedIdentifier cuts an identifier in quotes off s.
func quotedIdentifier(s string) (name, rest string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), s[i+1:]
	}
	return b.String(), ""
}

// lowerASCII folds as the server folds an identifier in UTF8.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// clipName cuts a name as the server does, which keeps characters whole.
func clipName(name string) string {
	if len(name) <= maxName {
		return name
	}
	n := maxName
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// maxPaths bounds the search paths that a catalogue is held ready for; beyond it
// starts anew.
const maxPaths = 16

// withPath returns the catalogue as it is along another search path. What it holds
// is shared, what is remembered of statements is not.
func (c *catalogue) withPath(setting string) *catalogue {
	c.mu.RLock()
	known := c.along[setting]
	c.mu.RUnlock()
	if known != nil {
		return known
	}
	made := &catalogue{contents: c.contents, lookupPath: c.pathOf(setting)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.along[setting]; known != nil {
		return known
	}
	if c.along == nil || len(c.along) >= maxPaths {
		c.along = make(map[string]*catalogue)
	}
	c.along[setting] = made
	return made
}
