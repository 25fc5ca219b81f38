package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/examples/internal/embeddedpg"
)

//go:embed shop.sql
var shop string

// A database is what the gateway leads to. The agent never learns its password.
type database struct {
	address, name, user, password string
	version                       string
	tls                           *tls.Config // nil: in clear
	// direct is the owner's connection, around the gateway.
	direct *pgx.Conn
	drop   func(context.Context) error
}

func openDatabase(ctx context.Context, url string) (*database, error) {
	if url != "" {
		return openServer(ctx, url)
	}
	db := &database{name: "shop", user: "shop_owner", password: rand.Text()}
	server, err := embeddedpg.Start(embeddedpg.Config{User: db.user, Password: db.password, Database: db.name, Script: shop})
	if err != nil {
		return nil, err
	}
	db.address = server.Addr()
	db.drop = func(context.Context) error { return server.Close() }
	db.direct, err = pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", db.user, db.password, db.address, db.name))
	if err == nil {
		err = db.direct.QueryRow(ctx, "SELECT version()").Scan(&db.version)
	}
	if err != nil {
		return nil, errors.Join(err, db.close(ctx))
	}
	return db, nil
}

// openServer makes a database of its own on a real server.
func openServer(ctx context.Context, url string) (*database, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if config.Password == "" {
		return nil, errors.New("-postgres: the URL has no password, and keeping one from the agent is what is shown here")
	}
	admin, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	db := &database{
		address: net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), user: config.User, password: config.Password,
		name: "headgate_quickstart_" + strings.ToLower(rand.Text()[:8]),
	}
	db.drop = func(ctx context.Context) error {
		_, err := admin.Exec(ctx, "DROP DATABASE IF EXISTS "+db.name+" WITH (FORCE)")
		return errors.Join(err, admin.Close(ctx))
	}
	if _, encrypted := admin.PgConn().Conn().(*tls.Conn); encrypted {
		db.tls = config.TLSConfig
	}
	if err := db.fill(ctx, admin, config); err != nil {
		return nil, errors.Join(err, db.close(ctx))
	}
	return db, nil
}

func (db *database) fill(ctx context.Context, admin *pgx.Conn, config *pgx.ConnConfig) error {
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+db.name); err != nil {
		return err
	}
	config = config.Copy()
	config.Database = db.name
	var err error
	if db.direct, err = pgx.ConnectConfig(ctx, config); err != nil {
		return err
	}
	if _, err := db.direct.Exec(ctx, shop); err != nil {
		return err
	}
	return db.direct.QueryRow(ctx, "SELECT version()").Scan(&db.version)
}

// count asks the database itself, around the gateway.
func (db *database) count(ctx context.Context, table string) (int, error) {
	var n int
	err := db.direct.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n)
	return n, err
}

func (db *database) close(ctx context.Context) error {
	var err error
	if db.direct != nil {
		err = db.direct.Close(ctx)
	}
	return errors.Join(err, db.drop(ctx))
}
