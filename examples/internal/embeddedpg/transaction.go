package embeddedpg

import (
	"context"
	"errors"
	"strings"
)

// transaction is a session's transaction state.
type transaction uint8

const (
	outside  transaction = iota // none is open
	implicit                    // opened by the server around a batch
	explicit                    // opened by BEGIN
	failed                      // a statement failed after BEGIN
)

// status is the byte of ReadyForQuery.
func (t transaction) status() byte {
	switch t {
	case explicit:
		return 'T'
	case failed:
		return 'E'
	default:
		return 'I'
	}
}

// enter makes sure that a statement runs in a transaction.
func (s *session) enter(ctx context.Context) error {
	if s.tx == failed {
		return &problem{"25P02", "current transaction is aborted, commands ignored until end of transaction block"}
	}
	if s.tx == outside {
		if err := s.engine.exec(ctx, "BEGIN"); err != nil {
			return err
		}
		s.tx = implicit
	}
	return nil
}

// settle ends a batch: the server's own transaction commits.
func (s *session) settle(ctx context.Context) error {
	if s.tx != implicit {
		return nil
	}
	return s.commit(ctx)
}

func (s *session) commit(ctx context.Context) error {
	s.leave()
	if err := s.engine.exec(ctx, "COMMIT"); err != nil {
		return errors.Join(err, s.undo(ctx))
	}
	return nil
}

// leave forgets what lasts as long as a transaction.
func (s *session) leave() {
	s.tx = outside
	clear(s.portals)
	s.settings.endTransaction()
}

// spoil is what an error does to the transaction.
func (s *session) spoil(ctx context.Context) error {
	if s.tx == implicit {
		s.leave()
		return s.undo(ctx)
	}
	if s.tx == explicit {
		s.tx = failed
	}
	return nil
}

// undo rolls the engine back. It may have done so itself.
func (s *session) undo(ctx context.Context) error {
	err := s.engine.exec(context.WithoutCancel(ctx), "ROLLBACK")
	if err != nil && strings.Contains(err.Error(), "no transaction is active") {
		return nil
	}
	return err
}

// control carries out the statements that steer transactions.
func (s *session) control(ctx context.Context, st *statement) (string, error) {
	switch st.verb {
	case "begin", "start":
		return tagOf(st.verb), s.begin(ctx)
	case "commit", "end":
		return s.end(ctx)
	case "rollback", "abort":
		if st.has("to") {
			return "ROLLBACK", s.rollbackTo(ctx, st)
		}
		return "ROLLBACK", s.rollback(ctx)
	default:
		return tagOf(st.verb), s.savepoint(ctx, st)
	}
}

func (s *session) begin(ctx context.Context) error {
	if s.tx == explicit {
		s.notice("25001", "there is already a transaction in progress")
		return nil
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.tx = explicit
	return nil
}

func (s *session) end(ctx context.Context) (string, error) {
	switch s.tx {
	case failed:
		return "ROLLBACK", s.rollback(ctx)
	case explicit:
		return "COMMIT", s.commit(ctx)
	default:
		s.notice("25P01", "there is no transaction in progress")
		return "COMMIT", s.settle(ctx)
	}
}

func (s *session) rollback(ctx context.Context) error {
	if s.tx == outside || s.tx == implicit {
		s.notice("25P01", "there is no transaction in progress")
	}
	if s.tx == outside {
		return nil
	}
	s.leave()
	return s.undo(ctx)
}

// savepoint carries out SAVEPOINT and RELEASE.
func (s *session) savepoint(ctx context.Context, st *statement) error {
	name := st.tokens[len(st.tokens)-1]
	if len(st.tokens) < 2 || !name.isName() {
		return syntaxError("syntax error in " + tagOf(st.verb))
	}
	if s.tx != explicit {
		if s.tx == failed {
			return s.enter(ctx)
		}
		return &problem{"25P01", tagOf(st.verb) + " can only be used in transaction blocks"}
	}
	return s.engine.exec(ctx, tagOf(st.verb)+" "+quoteName(name.text))
}

// rollbackTo makes a failed transaction usable again.
func (s *session) rollbackTo(ctx context.Context, st *statement) error {
	name := st.tokens[len(st.tokens)-1]
	if !name.isName() {
		return syntaxError("syntax error in ROLLBACK TO")
	}
	if s.tx != explicit && s.tx != failed {
		return &problem{"25P01", "ROLLBACK TO SAVEPOINT can only be used in transaction blocks"}
	}
	if err := s.engine.exec(ctx, "ROLLBACK TO "+quoteName(name.text)); err != nil {
		return err
	}
	s.tx = explicit
	return nil
}
