package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a configuration.
type Problem struct { //nolint:errname // it reads better than ProblemError
	// Line is the line in the file, 0 if there is none to name.
	Line int
	// Field is the path of the field, as "routes[0].listen".
	Field string
	// Message says what is wrong. It holds no secret.
	Message string
}

// Error says where and what.
func (p Problem) Error() string {
	if p.Field == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Message)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.Field, p.Message)
}

// Problems are all that is wrong, in the order of the file.
type Problems []Problem //nolint:errname,recvcheck // as Problem; errors are values

// Error lists the problems, one on a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted orders problems by line and returns them as an error, nil if there are
// none.
func (p Problems) sorted() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return p
}

// A place is where a field stands in the file.
type place struct {
	line  int
	field string
}

func (p place) problem(format string, args ...any) Problem {
	return Problem{Line: p.line, Field: p.field, Message: fmt.Sprintf(format, args...)}
}

func (p place) below(name string) place { return place{p.line, p.field + "." + name} }

// report adds err's problems, each of which may be a joined one.
func (p *Problems) report(at place, err error) {
	if err == nil {
		return
	}
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, e := range joined.Unwrap() {
			p.report(at, e)
		}
		return
	}
	*p = append(*p, at.problem("%s", err))
}

// Join puts problems of several errors in the order of the file. Other errors
// are joined as usual.
func Join(all ...error) error {
	var problems Problems
	var others []error
	for _, err := range all {
		if p, ok := errors.AsType[Problems](err); ok {
			problems = append(problems, p...)
		} else if err != nil {
			others = append(others, err)
		}
	}
	if len(others) > 0 {
		return errors.Join(append(others, problems.sorted())...)
	}
	return problems.sorted()
}
