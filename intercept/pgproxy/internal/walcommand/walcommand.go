// Package walcommand reads the commands of PostgreSQL's streaming replication
// protocol, which a server takes in place of SQL where a session was begun with the
// startup parameter replication.
package walcommand

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSyntax says that a text begins as a command of replication does and is none that
// is known. Such a text is never SQL.
var ErrSyntax = errors.New("syntax error in a replication command")

// The names of commands.
const (
	AlterSlot       = "ALTER_REPLICATION_SLOT"
	BaseBackup      = "BASE_BACKUP"
	CreateSlot      = "CREATE_REPLICATION_SLOT"
	DropSlot        = "DROP_REPLICATION_SLOT"
	IdentifySystem  = "IDENTIFY_SYSTEM"
	ReadSlot        = "READ_REPLICATION_SLOT"
	Show            = "SHOW"
	Start           = "START_REPLICATION"
	TimelineHistory = "TIMELINE_HISTORY"
	UploadManifest  = "UPLOAD_MANIFEST"
)

func isName(word string) bool {
	switch word {
	case AlterSlot, BaseBackup, CreateSlot, DropSlot, IdentifySystem, ReadSlot, Show, Start, TimelineHistory, UploadManifest:
		return true
	default:
		return false
	}
}

// A Command is a parsed command.
type Command struct {
	// Name is one of the constants.
	Name string
	// Slot is the replication slot that the command is about, "" for none.
	Slot string
	// Logical says that changes are decoded, by Plugin where a slot is made.
	Logical bool
	Plugin  string
	// Setting is what SHOW shows.
	Setting string
	Options []Option
}

// An Option is one of those in parentheses. Value is "" where it has none.
type Option struct{ Name, Value string }

// Option returns the value of an option, "" if it has none or is not there. Names are
// compared as the server does, in lower case, and the last of a name counts.
func (c *Command) Option(name string) string {
	value := ""
	for _, o := range c.Options {
		if o.Name == name {
			value = o.Value
		}
	}
	return value
}

// Is reports whether a server takes a text for a command of replication rather than
// for SQL: by its first word, which is in capitals and has neither a comment nor
// quotes before it. What stands before the word is taken to be blank where that is so
// for some version of the server.
func Is(text string) bool {
	l := lexer{strings.TrimLeft(text, " \t\n\r\f\v")}
	return isName(l.cutWord())
}

// Parse reads the command that text is, with at most a semicolon behind it. Errors
// wrap ErrSyntax. It takes less than a server does: neither blanks other than space,
// tab and newline, nor the form of options that was given up with PostgreSQL 15.
func Parse(text string) (*Command, error) {
	if strings.Contains(text, "\x00") {
		return nil, fmt.Errorf("%w: NUL", ErrSyntax)
	}
	p := &parser{lexer: lexer{text}}
	p.advance()
	name := p.token.text
	if p.err == nil && (p.token.kind != tokenWord || !isName(name)) {
		p.fail()
	}
	p.advance()
	c := &Command{Name: name}
	p.command(c)
	if p.isSign(";") {
		p.advance()
	}
	if p.err == nil && p.token.kind != tokenEnd {
		p.fail()
	}
	if p.err != nil {
		return nil, p.err
	}
	return c, nil
}

// parser reads ahead by one token. Its first error counts; behind one there are no
// tokens.
type parser struct {
	lexer
	token token
	err   error
}

func (p *parser) advance() {
	if p.err != nil {
		return
	}
	if p.token, p.err = p.next(); p.err != nil {
		p.token = token{}
	}
}

func (p *parser) fail() {
	if p.err == nil {
		p.err = fmt.Errorf("%w at or near %q", ErrSyntax, p.token.text)
	}
	p.token = token{}
}

func (p *parser) isSign(sign string) bool { return p.token == token{tokenSign, sign} }

// take reports whether the next token is that keyword, and goes beyond it.
func (p *parser) take(keyword string) bool {
	if p.token != (token{tokenWord, keyword}) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(kind tokenKind) {
	if p.token.kind != kind {
		p.fail()
		return
	}
	p.advance()
}

// command reads what stands behind the name.
func (p *parser) command(c *Command) {
	switch c.Name {
	case Show:
		c.Setting = p.setting()
	case ReadSlot:
		c.Slot = p.name()
	case DropSlot:
		c.Slot = p.name()
		p.take("WAIT")
	case AlterSlot:
		c.Slot = p.name()
		c.Options = p.options(true)
	case CreateSlot:
		p.createSlot(c)
	case Start:
		p.start(c)
	case TimelineHistory:
		p.expect(tokenNumber)
	case BaseBackup:
		c.Options = p.options(false)
	}
}

func (p *parser) createSlot(c *Command) {
	c.Slot = p.name()
	p.take("TEMPORARY")
	switch {
	case p.take("PHYSICAL"):
	case p.take("LOGICAL"):
		c.Logical, c.Plugin = true, p.name()
	default:
		p.fail()
	}
	for p.err == nil && p.token.kind == tokenWord {
		if !slices.Contains([]string{"EXPORT_SNAPSHOT", "NOEXPORT_SNAPSHOT", "USE_SNAPSHOT", "RESERVE_WAL", "TWO_PHASE"}, p.token.text) {
			p.fail()
			return
		}
		c.Options = append(c.Options, Option{Name: strings.ToLower(p.token.text)})
		p.advance()
	}
	if p.isSign("(") && len(c.Options) == 0 {
		c.Options = p.options(true)
	}
}

func (p *parser) start(c *Command) {
	if p.take("SLOT") {
		c.Slot = p.name()
	}
	if c.Slot != "" && p.take("LOGICAL") {
		c.Logical = true
		p.expect(tokenPosition)
		c.Options = p.options(false)
		return
	}
	p.take("PHYSICAL")
	p.expect(tokenPosition)
	if p.take("TIMELINE") {
		p.expect(tokenNumber)
	}
}

// maxName is the length in bytes from which the server cuts names short.
const maxName = 63

// name reads a name that the server keeps as it is.
func (p *parser) name() string {
	name := p.token.text
	switch {
	case p.token.kind == tokenWord && !isKeyword(name):
		name = strings.ToLower(name)
	case p.token.kind == tokenQuoted:
	default:
		p.fail()
		return ""
	}
	if name == "" || len(name) > maxName {
		p.fail()
		return ""
	}
	p.advance()
	return name
}

// setting reads names with dots between them.
func (p *parser) setting() string {
	names := []string{p.name()}
	for p.isSign(".") {
		p.advance()
		names = append(names, p.name())
	}
	return strings.Join(names, ".")
}

// options reads a list in parentheses. must says that it can't be left out.
func (p *parser) options(must bool) []Option {
	if !p.isSign("(") {
		if must {
			p.fail()
		}
		return nil
	}
	var options []Option
	for p.err == nil {
		p.advance() // beyond the parenthesis, or a comma
		options = append(options, p.option())
		if !p.isSign(",") {
			break
		}
	}
	if !p.isSign(")") {
		p.fail()
		return nil
	}
	p.advance()
	return options
}

func (p *parser) option() Option {
	var o Option
	if p.token.kind == tokenWord { // keywords are names here
		o.Name = strings.ToLower(p.token.text)
		p.advance()
	} else {
		o.Name = p.name()
	}
	switch p.token.kind {
	case tokenString, tokenNumber:
		o.Value = p.token.text
		p.advance()
	case tokenWord, tokenQuoted:
		o.Value = p.name()
	case tokenEnd, tokenPosition, tokenSign:
	}
	return o
}

// isKeyword reports whether some version of the server, from 15 on, reserves a word.
// They are told from names by their capitals.
func isKeyword(word string) bool {
	switch word {
	case "TIMELINE", "PHYSICAL", "RESERVE_WAL", "LOGICAL", "SLOT", "TEMPORARY", "TWO_PHASE", "EXPORT_SNAPSHOT", "NOEXPORT_SNAPSHOT", "USE_SNAPSHOT", "WAIT",
		"FAST", "LABEL", "NOWAIT", "PROGRESS", "WAL", "MAX_RATE", "TABLESPACE_MAP", "NOVERIFY_CHECKSUMS", "MANIFEST", "MANIFEST_CHECKSUMS":
		return true
	default:
		return isName(word)
	}
}
