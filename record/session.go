package record

import (
	"fmt"
	"strings"
)

const (
	maxSession = 64
	// Extension ends the name of every log file.
	Extension = ".hglog"
)

// CheckSession says why a session id may not name a log. An id is 1 to 64 bytes
// of A-Z, a-z, 0-9, '.', '_' and '-', and starts with a letter or digit: no
// separator, no "..", no NUL and nothing that a file system would fold, except
// for case, which FileName does on every platform alike.
func CheckSession(id string) error {
	if id == "" || len(id) > maxSession {
		return fmt.Errorf("%w: %d bytes", ErrSession, len(id))
	}
	if !isAlphanumeric(id[0]) {
		return fmt.Errorf("%w: %q", ErrSession, id)
	}
	for i := range len(id) {
		if c := id[i]; !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("%w: %q", ErrSession, id)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// FileName returns the name of a session's log file: the id in lower case and
// Extension. Ids that differ only by case share a name, so that the second one
// is refused on every file system and not only on those that fold case.
func FileName(session string) string { return strings.ToLower(session) + Extension }
