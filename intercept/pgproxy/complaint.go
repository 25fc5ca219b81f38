package pgproxy

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

// A complaint is the error that the server itself would have answered a message
// with that it does not get to see: text that is no SQL, a name that means
// nothing. The client is told what the server would say, word for word.
//
// Severity and, where source is empty, the place in the server's source are taken
// from the error that the failing message in the client's place has brought about.
type complaint struct {
	code                  string // SQLSTATE; "" for the failing message's own
	message, detail, hint string
	position              int // in characters from 1; 0 for none
	source, routine       string
	unnamed               bool // there is no unnamed statement
	several               bool // a Parse is of several statements
}

// failing returns the statement to send in the place of one that is complained of.
// The server reports text that ends too early and other syntax errors at different
// lines of its source. c may be nil.
func (c *complaint) failing() string {
	if c != nil && c.several {
		return failingPair
	}
	if c != nil && strings.HasSuffix(c.message, "at end of input") {
		return failingAtEnd
	}
	return failingStatement
}

// syntaxComplaint is the grammar's. The scanner is one function of the server,
// whose place in the source the failing statement tells.
func syntaxComplaint(err error) *complaint {
	var syntax *sqlfacts.SyntaxError
	if !errors.As(err, &syntax) {
		return nil
	}
	c := &complaint{code: syntax.Code, message: syntax.Message, detail: syntax.Detail, hint: syntax.Hint, position: syntax.Position}
	if syntax.Routine != scannerError {
		c.source, c.routine = syntax.File, syntax.Routine
	}
	return c
}

// scannerError is the server's function that reports most syntax errors.
const scannerError = "scanner_yyerror"

func multipleCommands() *complaint {
	return &complaint{
		code: "42601", message: "cannot insert multiple commands into a prepared statement", several: true,
	}
}

// noStatement and noPortal complain of names without a meaning.
func noStatement(name string) *complaint {
	if name == "" {
		return &complaint{code: "26000", message: "unnamed prepared statement does not exist", unnamed: true}
	}
	return &complaint{code: "26000", message: "prepared statement " + quoted(name) + " does not exist"}
}

func noPortal(name string) *complaint {
	return &complaint{code: "34000", message: "portal " + quoted(name) + " does not exist"}
}

// cancelled complains that the client itself has cancelled a statement while the
// policy was being asked about it, which therefore has no answer; nil if that is
// not why r refuses. What a human was asked about is refused as such.
func (s *session) cancelled(r *intercept.Refusal) *complaint {
	if !s.waitCancelled || r.Code != intercept.CodePolicyError {
		return nil
	}
	return &complaint{
		code: "57014", message: "canceling statement due to user request",
		source: "postgres.c", routine: "ProcessInterrupts",
	}
}

// quoted puts a name between quotation marks as the server does, which doubles
// and escapes nothing.
func quoted(name string) string { return `"` + name + `"` }

// missing refuses a Bind, Describe or Execute of a name that has no meaning. In
// its place goes the same message with a name that nobody can have given a meaning,
// since nobody knows it; or with none, behind the end of the unnamed statement.
func (s *session) missing(kind, target byte, c *complaint) {
	r := &intercept.Refusal{Code: intercept.CodeUnsupported, Reason: c.message}
	r = s.guard.Refuse(nameless(c.message), r).Refused()
	name := rand.Text()
	if c.unnamed {
		name = ""
		s.send(appendClose(nil, 'S', ""), entry{kind: msgClose, hidden: true})
	}
	s.toServer = appendMessage(s.toServer, kind, func(b []byte) []byte {
		switch kind {
		case msgBind:
			return append(appendText(appendText(b, ""), name), 0, 0, 0, 0, 0, 0)
		case msgDescribe:
			return appendText(append(b, target), name)
		default:
			return binary.BigEndian.AppendUint32(appendText(b, name), 0)
		}
	})
	s.refused(entry{kind: kind, refusal: r, complaint: c})
}

// appendComplaint appends the error to be released in the place of f.
func appendComplaint(b []byte, f fields, c *complaint) []byte {
	own := map[byte]string{'C': c.code, 'M': c.message, 'D': c.detail, 'H': c.hint, 'P': "", 'F': c.source, 'R': c.routine}
	if c.position > 0 {
		own['P'] = strconv.Itoa(c.position)
	}
	if c.code == "" {
		delete(own, 'C')
	}
	if c.source == "" {
		delete(own, 'F')
		delete(own, 'R')
	} else {
		own['L'] = "" // versions differ
	}
	return appendMessage(b, msgError, func(b []byte) []byte {
		for _, code := range []byte("SVCMDHPFLR") {
			value, replaced := own[code]
			if !replaced {
				value = f.field(code)
			}
			if value != "" {
				b = appendText(append(b, code), value)
			}
		}
		return append(b, 0)
	})
}

// field returns the value of a field, "" if it is not there.
func (f fields) field(code byte) string {
	for rest := f.raw; len(rest) > 0 && rest[0] != 0; {
		value, next, _ := cutString(rest[1:])
		if rest[0] == code {
			return value
		}
		rest = next
	}
	return ""
}
