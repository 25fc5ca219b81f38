package embeddedpg

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

type driverValue = driver.Value

// prepared is a prepared statement. st is nil for an empty one.
type prepared struct {
	st    *statement
	types []uint32
	// columns is what Describe promised, nil if it was not asked.
	columns []column
}

// A portal is a statement with its parameters.
type portal struct {
	*prepared
	args    []driver.Value
	formats []int16
	// columns is what Describe promised, nil if it was not asked.
	columns []column
	result  *result // once executed
	sent    int
}

// maxNames bounds the statements and the portals of a session.
const maxNames = 10_000

// extended carries out a message of the extended protocol. After an error
// everything up to Sync is skipped.
func (s *session) extended(ctx context.Context, message pgproto3.FrontendMessage) error {
	run, done := s.cancellable(ctx)
	err := s.step(run, message)
	done()
	if err == nil {
		return nil
	}
	s.backend.Send(response(err, "ERROR"))
	if err := s.backend.Flush(); err != nil {
		return err
	}
	if err := s.spoil(ctx); err != nil {
		return err
	}
	return s.skip(ctx)
}

// skip drops messages up to Sync.
func (s *session) skip(ctx context.Context) error {
	for {
		message, err := s.backend.Receive()
		if err != nil {
			return err
		}
		switch message.(type) {
		case *pgproto3.Sync:
			return s.sync(ctx)
		case *pgproto3.Terminate:
			return errTerminated
		}
	}
}

// sync ends a batch.
func (s *session) sync(ctx context.Context) error {
	if err := s.settle(ctx); err != nil {
		s.backend.Send(response(err, "ERROR"))
	}
	s.report()
	return s.ready()
}

func (s *session) step(ctx context.Context, message pgproto3.FrontendMessage) error {
	switch m := message.(type) {
	case *pgproto3.Parse:
		return s.parse(ctx, m)
	case *pgproto3.Bind:
		return s.bind(ctx, m)
	case *pgproto3.Describe:
		return s.describeName(ctx, m)
	case *pgproto3.Execute:
		return s.executePortal(ctx, m)
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			delete(s.prepared, m.Name)
		} else {
			delete(s.portals, m.Name)
		}
		s.backend.Send(&pgproto3.CloseComplete{})
		return nil
	default:
		return &problem{"0A000", fmt.Sprintf("the embedded server does not support the message %T", message)}
	}
}

func (s *session) parse(ctx context.Context, m *pgproto3.Parse) error {
	if _, ok := s.prepared[m.Name]; ok && m.Name != "" {
		return &problem{"42P05", `prepared statement "` + m.Name + `" already exists`}
	}
	if len(s.prepared) >= maxNames {
		return &problem{"53000", "too many prepared statements"}
	}
	statements, err := parse(m.Query)
	if err != nil {
		return err
	}
	p := &prepared{types: append([]uint32(nil), m.ParameterOIDs...)}
	switch len(statements) {
	case 0:
	case 1:
		p.st = statements[0]
		if err := s.check(ctx, p.st); err != nil {
			return err
		}
		for len(p.types) < p.st.params {
			p.types = append(p.types, 0)
		}
	default:
		return syntaxError("cannot insert multiple commands into a prepared statement")
	}
	s.prepared[m.Name] = p
	s.backend.Send(&pgproto3.ParseComplete{})
	return nil
}

// check reports what is wrong with a statement before it is run, in a
// transaction as the server would.
func (s *session) check(ctx context.Context, st *statement) error {
	if s.tx == failed && !st.isExit() {
		return s.enter(ctx)
	}
	if !st.isEngine() {
		return nil
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	_, err := s.describe(ctx, st)
	return err
}

// isExit reports whether the statement may run in a failed transaction.
func (s *statement) isExit() bool {
	switch s.verb {
	case "commit", "end", "rollback", "abort":
		return true
	default:
		return false
	}
}

func (s *session) bind(ctx context.Context, m *pgproto3.Bind) error {
	p, ok := s.prepared[m.PreparedStatement]
	if !ok {
		return &problem{"26000", `prepared statement "` + m.PreparedStatement + `" does not exist`}
	}
	if _, ok := s.portals[m.DestinationPortal]; ok && m.DestinationPortal != "" {
		return &problem{"42P03", `portal "` + m.DestinationPortal + `" already exists`}
	}
	if len(s.portals) >= maxNames {
		return &problem{"53000", "too many portals"}
	}
	if s.tx == failed && (p.st == nil || !p.st.isExit()) {
		return s.enter(ctx) // refuses
	}
	if len(m.Parameters) != len(p.types) {
		return &problem{"08P01", fmt.Sprintf("bind message supplies %d parameters, but prepared statement requires %d", len(m.Parameters), len(p.types))}
	}
	portal := &portal{prepared: p, formats: append([]int16(nil), m.ResultFormatCodes...)}
	for i, src := range m.Parameters {
		v, err := decode(s.types, p.types[i], formatOf(m.ParameterFormatCodes, i), src)
		if err != nil {
			return err
		}
		portal.args = append(portal.args, v)
	}
	s.portals[m.DestinationPortal] = portal
	s.backend.Send(&pgproto3.BindComplete{})
	return nil
}

func (s *session) describeName(ctx context.Context, m *pgproto3.Describe) error {
	if m.ObjectType == 'S' {
		p, ok := s.prepared[m.Name]
		if !ok {
			return &problem{"26000", `prepared statement "` + m.Name + `" does not exist`}
		}
		s.backend.Send(&pgproto3.ParameterDescription{ParameterOIDs: p.types})
		_, err := s.announce(ctx, p, nil)
		return err
	}
	p, ok := s.portals[m.Name]
	if !ok {
		return &problem{"34000", `portal "` + m.Name + `" does not exist`}
	}
	var err error
	p.columns, err = s.announce(ctx, p.prepared, p.formats)
	return err
}

// announce sends the description of a statement's result.
func (s *session) announce(ctx context.Context, p *prepared, formats []int16) ([]column, error) {
	if p.st == nil {
		s.backend.Send(&pgproto3.NoData{})
		return nil, nil
	}
	if p.st.isEngine() {
		if err := s.enter(ctx); err != nil {
			return nil, err
		}
	}
	columns, err := s.forecast(ctx, p.st)
	if err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		s.backend.Send(&pgproto3.NoData{})
		return nil, nil
	}
	p.columns = columns
	s.backend.Send(rowDescription(columns, formats))
	return columns, nil
}

func (s *session) executePortal(ctx context.Context, m *pgproto3.Execute) error {
	p, ok := s.portals[m.Portal]
	if !ok {
		return &problem{"34000", `portal "` + m.Portal + `" does not exist`}
	}
	if p.st == nil {
		s.backend.Send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	if p.result == nil {
		r, err := s.run(ctx, p.st, p.args)
		if err != nil {
			return err
		}
		if err := p.adopt(r); err != nil {
			return err
		}
	}
	rows := p.result.rows[p.sent:]
	suspended := m.MaxRows > 0 && uint64(m.MaxRows) <= uint64(len(rows)) // the server does not look ahead
	if suspended {
		rows = rows[:m.MaxRows]
	}
	if err := s.send(p.result, p.formats, rows); err != nil {
		return err
	}
	p.sent += len(rows)
	if suspended {
		s.backend.Send(&pgproto3.PortalSuspended{})
		return nil
	}
	tag := p.result.tag
	if strings.HasPrefix(tag, "SELECT ") {
		tag = commandTag(p.st, int64(len(rows))) // of this Execute
	}
	s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return nil
}

// adopt takes a result and gives it the types that were promised.
func (p *portal) adopt(r *result) error {
	promised := p.columns
	if promised == nil {
		promised = p.prepared.columns
	}
	if promised != nil {
		if len(promised) != len(r.columns) {
			return &problem{"0A000", "cached plan must not change result type"}
		}
		r.columns = promised
	}
	p.result = r
	return nil
}
