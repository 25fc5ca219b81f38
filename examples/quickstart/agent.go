package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// An agent has a connection and a token, and no password of the database.
type agent struct {
	conn    *pgx.Conn
	notices []*pgconn.Notice
}

func connect(ctx context.Context, url string) (*agent, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	a := new(agent)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { a.notices = append(a.notices, n) }
	a.conn, err = pgx.ConnectConfig(ctx, config)
	return a, err
}

// ask sends a statement and returns its result as texts, the header first, and
// its command tag.
func (a *agent) ask(ctx context.Context, sql string, args ...any) ([][]string, string, error) {
	rows, err := a.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	var out [][]string
	if fields := rows.FieldDescriptions(); len(fields) > 0 {
		out = append(out, make([]string, len(fields)))
		for i, f := range fields {
			out[0][i] = f.Name
		}
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, "", err
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = fmt.Sprint(v)
		}
		out = append(out, row)
	}
	return out, rows.CommandTag().String(), rows.Err()
}

// refusal returns the server's error, the zero error for any other.
func refusal(err error) *pgconn.PgError {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e
	}
	return new(pgconn.PgError)
}
