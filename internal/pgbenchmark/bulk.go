//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// The loads of bulk workloads. The benchmark's policy masks every column named
// email; piiSQL gives the same content other names, so that only a search by
// content finds it. Its rows all hold an address and a card number, rowsSQL's none.
const (
	rowsSQL   = "SELECT id, name, note FROM people"
	maskedSQL = "SELECT id, name, email, note FROM people"
	piiSQL    = "SELECT id, name, contact, card, note FROM people"

	copyOutSQL    = "COPY people (id, name, note) TO STDOUT"
	copyMaskedSQL = "COPY people (id, name, email, note) TO STDOUT"
	copyInSQL     = "COPY people_in FROM STDIN"
)

// peoplePerScale is how many rows people gets for each 100 000 of pgbench's.
const peoplePerScale = 50_000

// fillPeople makes the tables of the bulk workloads.
func (b *bench) fillPeople(ctx context.Context) error {
	c, err := pgconn.Connect(ctx, b.server.dsn())
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, fmt.Sprintf(`
		CREATE UNLOGGED TABLE people AS
			SELECT i AS id, 'Person ' || i AS name, 'person.' || i || '@example.com' AS email,
				'person.' || i || '@example.com' AS contact, '4111 1111 1111 1111' AS card,
				'called about the order, will call again; waits for an answer by the end of the week' AS note
			FROM generate_series(1, %d) i;
		CREATE UNLOGGED TABLE people_in (id int, name text, note text)`, b.scale*peoplePerScale)).ReadAll()
	if err == nil {
		_, err = c.Exec(ctx, "VACUUM ANALYZE people").ReadAll()
	}
	return errors.Join(err, c.Close(ctx))
}

func (t *target) dsn() string {
	mode := "disable"
	if t.tls {
		mode = "require"
	}
	return fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s sslmode=%s", t.host, t.port, t.user, t.password, t.db, mode)
}

// open connects by the path and leaves everything else to the caller.
func (t *target) open(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c, err := pgconn.Connect(ctx, t.dsn())
	if err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, err
	}
	if _, encrypted := h.Conn.(*tls.Conn); encrypted != t.tls {
		return nil, errors.Join(errors.New("the connection is not as asked for"), h.Conn.Close())
	}
	return h.Conn, h.Conn.SetDeadline(time.Now().Add(2 * time.Minute))
}

func message(typ byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4))
	return append(b, body...)
}

// readBulk runs a statement by the simple protocol and drops its answer.
func readBulk(ctx context.Context, _ *bench, w workload, t *target) (point, error) {
	conn, err := t.open(ctx)
	if err != nil {
		return point{}, err
	}
	defer conn.Close() //nolint:errcheck // it has been used
	return account(t, func() (answer, error) { return ask(conn, w.sql) })
}

// ask sends a Query and drains the answer.
func ask(conn net.Conn, sql string) (answer, error) {
	if _, err := conn.Write(message('Q', append([]byte(sql), 0))); err != nil {
		return answer{}, err
	}
	got, err := drain(conn, 'Z')
	if err == nil && got.rows == 0 {
		err = errors.New("no rows came")
	}
	return got, err
}

// writeBulk copies rows in, in CopyData messages of 8 KiB as psql does.
func writeBulk(ctx context.Context, b *bench, w workload, t *target) (point, error) {
	conn, err := t.open(ctx)
	if err != nil {
		return point{}, err
	}
	defer conn.Close() //nolint:errcheck // it has been used
	data := b.copyData()
	p, err := account(t, func() (answer, error) {
		if _, err := conn.Write(message('Q', append([]byte(w.sql), 0))); err != nil {
			return answer{}, err
		}
		if _, err := drain(conn, 'G'); err != nil {
			return answer{}, err
		}
		if err := sendAll(conn, data); err != nil {
			return answer{}, err
		}
		_, err := drain(conn, 'Z')
		return answer{size: len(data)}, err
	})
	if err != nil {
		return point{}, err
	}
	direct, err := b.server.open(ctx)
	if err != nil {
		return point{}, err
	}
	defer direct.Close() //nolint:errcheck // it has been used
	_, err = direct.Write(message('Q', []byte("TRUNCATE people_in\x00")))
	if err == nil {
		_, err = drain(direct, 'Z')
	}
	return p, err
}

func sendAll(conn net.Conn, data []byte) error {
	const piece = 8 << 10
	out := make([]byte, 0, piece+8)
	for len(data) > 0 {
		n := min(piece, len(data))
		out = append(binary.BigEndian.AppendUint32(append(out[:0], 'd'), uint32(n+4)), data[:n]...)
		if _, err := conn.Write(out); err != nil {
			return err
		}
		data = data[n:]
	}
	_, err := conn.Write(message('c', nil))
	return err
}

// copyData is what copy-in sends.
func (b *bench) copyData() []byte {
	var out bytes.Buffer
	for i := range b.scale * peoplePerScale {
		out.WriteString(strconv.Itoa(i))
		out.WriteString("\tPerson\tcalled about the order, will call again; waits for an answer by the end of the week\n")
	}
	return out.Bytes()
}

// account measures what f carries, in MB.
func account(t *target, f func() (answer, error)) (point, error) {
	before, start := t.child.cpu(), time.Now()
	got, err := f()
	took, used := time.Since(start), t.child.cpu()-before
	if err != nil {
		return point{}, err
	}
	mb := float64(got.size) / 1e6
	return point{perSecond: mb / took.Seconds(), latency: took, cpu: used / mb}, nil
}

// An answer is what was read: bytes, and how many rows were in them.
type answer struct{ size, rows int }

// drain reads messages up to one of type stop. An error of the server is returned
// when it has got ready again.
func drain(conn net.Conn, stop byte) (answer, error) {
	var got answer
	var failed error
	buf := make([]byte, 256<<10)
	have, skip := 0, 0
	for {
		n, err := conn.Read(buf[have:])
		if err != nil {
			return got, err
		}
		got.size += n
		have += n
		off := min(skip, have)
		skip -= off
		for skip == 0 && have-off >= 5 {
			typ, length := buf[off], 1+int(binary.BigEndian.Uint32(buf[off+1:]))
			switch typ {
			case 'E':
				failed = fmt.Errorf("the server said %q", buf[off+5:min(have, off+300)])
			case 'D', 'd':
				got.rows++
			}
			if typ == stop || typ == 'Z' {
				return got, failed
			}
			if off+length > have {
				skip, off = off+length-have, have
				break
			}
			off += length
		}
		have = copy(buf, buf[off:have])
	}
}
