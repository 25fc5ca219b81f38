package embeddedpg

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A problem is an error with its SQLSTATE (manual, "PostgreSQL Error Codes").
type problem struct {
	code    string
	message string
}

func (p *problem) Error() string { return p.message }

func syntaxError(message string) error { return &problem{"42601", message} }

func unsupported(what string) error {
	return &problem{"0A000", "the embedded server does not support " + what}
}

// response makes the message that tells a client of err.
func response(err error, severity string) *pgproto3.ErrorResponse {
	p := problemOf(err)
	return &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: p.code, Message: p.message}
}

func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if errors.Is(err, context.Canceled) {
		return &problem{"57014", "canceling statement due to user request"}
	}
	return translateProblem(err.Error())
}

// engineProblem pairs a part of SQLite's message with a SQLSTATE.
type engineProblem struct{ part, code string }

func engineProblems() []engineProblem {
	return []engineProblem{
		{"no such table: ", "42P01"},
		{"no such column: ", "42703"},
		{"no such function: ", "42883"},
		{"wrong number of arguments", "42883"},
		{"has no column named", "42703"},
		{"ambiguous column name", "42702"},
		{"syntax error", "42601"},
		{"incomplete input", "42601"},
		{"UNIQUE constraint failed", "23505"},
		{"NOT NULL constraint failed", "23502"},
		{"CHECK constraint failed", "23514"},
		{"FOREIGN KEY constraint failed", "23503"},
		{"already exists", "42P07"},
		{"no such savepoint", "3B001"},
		{"not authorized", "42501"},
		{"prohibited", "42501"},
		{"interrupted", "57014"},
		{"is locked", "40001"},
		{"busy", "40001"},
		{"datatype mismatch", "42804"},
		{"number of arguments", "42883"},
		{"values for", "42601"},
		{"missing argument", "08P01"},
	}
}

// translateProblem gives an error of the engine the SQLSTATE, and where that
// matters the text, that PostgreSQL would use.
func translateProblem(message string) *problem {
	message = strings.TrimPrefix(message, "SQL logic error: ")
	message = strings.TrimPrefix(message, "constraint failed: ")
	if i := strings.LastIndex(message, " ("); i > 0 {
		message = message[:i] // the engine's own code
	}
	for _, p := range engineProblems() {
		_, rest, found := strings.Cut(message, p.part)
		if !found {
			continue
		}
		switch p.code {
		case "42P01":
			message = `relation "` + strings.TrimPrefix(rest, "main.") + `" does not exist`
		case "42703":
			if p.part == "no such column: " {
				message = `column "` + rest + `" does not exist`
			}
		case "42883":
			if p.part == "no such function: " {
				message = "function " + rest + " does not exist"
			}
		}
		return &problem{p.code, message}
	}
	return &problem{"XX000", message}
}
