package embeddedpg

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"

	"modernc.org/sqlite"
)

// An engine is one connection to the data. It belongs to one session.
type engine struct {
	conn interface {
		driver.Conn
		driver.ExecerContext
		driver.QueryerContext
		ColumnInfo(query string) ([]sqlite.ColumnInfo, error)
		sqlite.AuthorizerRegisterer
	}
	// guarded says that statements are a client's.
	guarded bool
	close   sync.Once
	err     error
}

// openEngine opens another connection to the database of that name. It lives in
// memory for as long as a connection is open. functions are what SQL can call.
func openEngine(ctx context.Context, name string, functions map[string]function) (*engine, error) {
	d := new(sqlite.Driver)
	for fn, f := range functions {
		if err := d.RegisterScalarFunction(fn, f.arguments, f.call); err != nil {
			return nil, fmt.Errorf("embeddedpg: function %s: %w", fn, err)
		}
	}
	conn, err := d.Open("file:/" + name + "?vfs=memdb&_dqs=0&_busy_timeout=5000&_foreign_keys=1")
	if err != nil {
		return nil, fmt.Errorf("embeddedpg: %w", err)
	}
	e := new(engine)
	var ok bool
	if e.conn, ok = conn.(interface {
		driver.Conn
		driver.ExecerContext
		driver.QueryerContext
		ColumnInfo(query string) ([]sqlite.ColumnInfo, error)
		sqlite.AuthorizerRegisterer
	}); !ok {
		return nil, errors.Join(errors.New("embeddedpg: the SQLite driver lacks a method"), conn.Close())
	}
	for _, sql := range []string{
		"ATTACH 'file:/" + name + "-catalogue?vfs=memdb' AS pg_catalog",
		"PRAGMA case_sensitive_like = ON",
	} {
		if err := e.exec(ctx, sql); err != nil {
			return nil, errors.Join(fmt.Errorf("embeddedpg: %w", err), e.Close())
		}
	}
	if err := e.conn.RegisterAuthorizer(e.authorize); err != nil {
		return nil, errors.Join(fmt.Errorf("embeddedpg: %w", err), e.Close())
	}
	return e, nil
}

// Close closes the connection. It acts once.
func (e *engine) Close() error {
	e.close.Do(func() { e.err = e.conn.Close() })
	return e.err
}

// authorize is asked about everything that a statement would do, before it runs.
func (e *engine) authorize(action sqlite.AuthorizerActionCode, arg1, arg2, database, _ string) sqlite.AuthorizerReturnCode {
	if !e.guarded {
		return sqlite.AuthorizerOK
	}
	switch action { //nolint:exhaustive // the rest is harmless
	case sqlite.AuthAttach, sqlite.AuthDetach, sqlite.AuthPragma, sqlite.AuthCreateVTable, sqlite.AuthDropVTable,
		sqlite.AuthCreateView, sqlite.AuthCreateTempView, sqlite.AuthCreateTrigger, sqlite.AuthCreateTempTrigger,
		sqlite.AuthCreateTempTable:
		return sqlite.AuthorizerDeny
	case sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete, sqlite.AuthCreateTable, sqlite.AuthDropTable,
		sqlite.AuthCreateIndex, sqlite.AuthDropIndex:
		if database == "pg_catalog" {
			return sqlite.AuthorizerDeny
		}
	case sqlite.AuthAlterTable:
		if arg1 == "pg_catalog" {
			return sqlite.AuthorizerDeny
		}
	case sqlite.AuthFunction:
		if arg2 == "load_extension" {
			return sqlite.AuthorizerDeny
		}
	}
	return sqlite.AuthorizerOK
}

// named numbers arguments as the driver wants them.
func named(args []driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, v := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return out
}

// exec runs the server's own statement.
func (e *engine) exec(ctx context.Context, sql string, args ...driver.Value) error {
	_, err := e.conn.ExecContext(ctx, sql, named(args))
	return err
}

// query runs the server's own query.
func (e *engine) query(ctx context.Context, sql string, args ...driver.Value) ([]string, [][]driver.Value, error) {
	return e.rows(ctx, sql, args, maxResultBytes)
}

// change runs a client's statement that returns no rows, and counts what it
// changed.
func (e *engine) change(ctx context.Context, sql string, args []driver.Value) (int64, error) {
	e.guarded = true
	defer func() { e.guarded = false }()
	result, err := e.conn.ExecContext(ctx, sql, named(args))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// read runs a client's statement that returns rows.
func (e *engine) read(ctx context.Context, sql string, args []driver.Value, bound int) ([][]driver.Value, error) {
	e.guarded = true
	defer func() { e.guarded = false }()
	_, rows, err := e.rows(ctx, sql, args, bound)
	return rows, err
}

// columns describes the result of a client's statement, without running it.
func (e *engine) columns(sql string) ([]sqlite.ColumnInfo, error) {
	e.guarded = true
	defer func() { e.guarded = false }()
	return e.conn.ColumnInfo(sql)
}

// maxResultBytes bounds the memory that one result takes.
const maxResultBytes = 256 << 20

// rows collects a result of at most bound bytes.
func (e *engine) rows(ctx context.Context, sql string, args []driver.Value, bound int) (names []string, out [][]driver.Value, err error) {
	rows, err := e.conn.QueryContext(ctx, sql, named(args))
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names = rows.Columns()
	for {
		row := make([]driver.Value, len(names))
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return names, out, nil
		} else if err != nil {
			return nil, nil, err
		}
		if bound -= rowSize(row); bound < 0 {
			return nil, nil, &problem{"53200", "the result is too large for the embedded server"}
		}
		out = append(out, row)
	}
}

// rowSize estimates the memory that a row takes.
func rowSize(row []driver.Value) int {
	size := 24
	for _, v := range row {
		size += 16
		switch x := v.(type) {
		case string:
			size += len(x)
		case []byte:
			size += len(x)
		}
	}
	return size
}
