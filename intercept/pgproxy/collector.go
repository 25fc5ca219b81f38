package pgproxy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/headgate/gateway/intercept"
)

// A collector takes the answers to hidden messages of the gateway's own.
type collector struct {
	tables []table
	rows   table
	size   int
	failed string // SQLSTATE
	// changes is what the shelf had counted when the catalogue was asked for.
	changes uint64
	done    bool
}

// maxCollected bounds the answer to the catalogue's queries.
const maxCollected = 256 << 20

// hiddenAnswer swallows the answer to a message of the gateway's own.
func (s *session) hiddenAnswer(e *entry, typ byte, body []byte) error {
	s.outgoing.change()
	switch {
	case e.path != nil:
		return s.pathAnswer(e, typ, body)
	case e.copied != nil:
		return s.copyDescribed(e, typ, body)
	case e.kind == msgDescribe && typ == msgRowDescription:
		err := s.planRows(e.portal.run, body, nil)
		s.done()
		return err
	case e.kind == msgDescribe && typ == msgNoData, e.kind == msgClose && typ == msgCloseComplete, e.kind == msgParse && typ == msgParseComplete:
		s.done()
		return nil
	case e.collect != nil:
		return s.collectAnswer(e, typ, body)
	default:
		return unexpected(typ)
	}
}

func (s *session) collectAnswer(e *entry, typ byte, body []byte) error {
	c := e.collect
	switch typ {
	case msgRowDescription, msgParseComplete, msgBindComplete, msgCloseComplete:
	case msgDataRow:
		if c.size += len(body); c.size > maxCollected {
			return errors.New("pgproxy: the server's catalogue is too large")
		}
		row, err := parseRow(body)
		if err != nil {
			return err
		}
		c.rows = append(c.rows, row)
	case msgCommandComplete:
		c.tables, c.rows = append(c.tables, c.rows), nil
	case msgReadyForQuery:
		c.done = true
		return s.ready(e, body)
	default:
		return unexpected(typ)
	}
	return nil
}

// parseRow reads the texts of a DataRow; NULL reads as "".
func parseRow(body []byte) ([]string, error) {
	n, rest, ok := cutInt16(body)
	if !ok || n < 0 || len(rest) < 4*n {
		return nil, fmt.Errorf("%w: DataRow", errMalformed)
	}
	row := make([]string, n)
	for i := range row {
		var size int
		if size, rest, ok = cutInt32(rest); !ok || size > len(rest) || size < -1 {
			return nil, fmt.Errorf("%w: DataRow", errMalformed)
		}
		if size > 0 {
			row[i] = string(rest[:size])
		}
		rest = rest[max(size, 0):]
	}
	return row, nil
}

// refreshCatalogue asks the server for its catalogue where that is due and the
// session is between statements: outside a transaction the question changes
// nothing that the client could see.
func (s *session) refreshCatalogue() (*wait, *intercept.Refusal) {
	now := time.Now()
	if s.refreshing == nil {
		if s.open || s.queue.size > 0 || s.status != statusIdle || !s.shelf.due(now, s.proxy.cfg.CatalogueMaxAge) {
			return nil, nil
		}
		if s.hasTurn = s.shelf.refresh.take(now); !s.hasTurn && !s.shelf.outdated() {
			return nil, nil // somebody is at it, and the old one will do meanwhile
		}
		s.refreshing = &collector{changes: s.shelf.begin()}
		if s.replication == replicationNone {
			s.send(appendCatalogueQueries(nil), entry{kind: msgSync, hidden: true, collect: s.refreshing})
		} else {
			s.send(appendQuery(nil, joinQueries(catalogueQueries())), entry{kind: msgQuery, hidden: true, collect: s.refreshing})
		}
		s.nextBatch()
	}
	c := s.refreshing
	if !c.done {
		return &wait{until: func() bool { return c.done }}, nil
	}
	s.refreshing = nil
	s.endTurn()
	if c.failed == "" {
		if fresh, err := buildCatalogue(c.tables, now, s.proxy.analyzer.Analyze); err == nil {
			fresh.startAs(s.shelf.newest.Load())
			s.shelf.put(fresh, c.changes)
			return nil, nil
		}
	}
	return nil, unread(c.failed)
}

// endTurn lets another session refresh the catalogue.
func (s *session) endTurn() {
	if s.hasTurn {
		s.hasTurn = false
		s.shelf.refresh.giveBack()
	}
}

// unread refuses a statement because the catalogue could not be read. A cancel
// request or the client's own statement timeout may be the reason.
func unread(sqlstate string) *intercept.Refusal {
	r := &intercept.Refusal{Code: intercept.CodeUpstream, Reason: "the server's catalogue could not be read", Retryable: true}
	if sqlstate == "57014" {
		r.Code = intercept.CodeApprovalCanceled
	}
	return r
}

// catalogueName is the statement and portal by which the catalogue is asked for. A
// simple Query would end the client's unnamed statement; a session for replication has
// none, and knows no other message.
const catalogueName = "headgate_catalogue"

// appendCatalogueQueries appends the catalogue's queries as a batch of its own.
func appendCatalogueQueries(b []byte) []byte {
	for _, q := range catalogueQueries() {
		b = appendParse(b, catalogueName, q)
		b = appendMessage(b, msgBind, func(b []byte) []byte {
			return append(appendText(appendText(b, catalogueName), catalogueName), 0, 0, 0, 0, 0, 0)
		})
		b = appendMessage(b, msgExecute, func(b []byte) []byte { return append(appendText(b, catalogueName), 0, 0, 0, 0) })
		for _, kind := range []byte{'P', 'S'} {
			b = appendClose(b, kind, catalogueName)
		}
	}
	return append(b, msgSync, 0, 0, 0, 4)
}

func joinQueries(queries []string) string {
	return strings.Join(queries, ";")
}
