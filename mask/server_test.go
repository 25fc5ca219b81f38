//go:build unix

package mask_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/mask/masktest"
	"github.com/headgate/gateway/policy"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

// TestServerAcceptsMasks masks what a real server sends, for every type, format
// and method, and gives the result back to it: the server's own input or receive
// function decides whether it is valid for the column. It does so with the usual
// settings and with others that change how values are written.
func TestServerAcceptsMasks(t *testing.T) {
	const others = "SET bytea_output = 'escape'; SET TimeZone = 'Asia/Kolkata'; SET IntervalStyle = 'iso_8601'"
	conn := connect(t)
	set := newSet(t, nil)
	for name, settings := range map[string]string{"defaults": "RESET ALL", "others": others} {
		exec(t, conn, settings)
		for i, s := range masktest.Samples() {
			t.Run(fmt.Sprintf("%s/%d/%s", name, i, s.Name), func(t *testing.T) {
				exec(t, conn, "DROP TABLE IF EXISTS sample")
				exec(t, conn, "CREATE TEMP TABLE sample (c "+s.Name+")")
				insert(t, conn, &s, mask.Text, s.Text)
				for _, name := range builtins() {
					testServerMethod(t, conn, set, &s, name)
				}
			})
		}
	}
}

func connect(t *testing.T) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), testserver.Postgres(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func testServerMethod(t *testing.T, conn *pgconn.PgConn, set *mask.Set, s *masktest.Sample, name string) {
	t.Helper()
	rules, err := set.Rules([]policy.Mask{{Table: "*", Column: "c", Method: name, Keep: 3}})
	if err != nil {
		t.Fatal(err)
	}
	var decoded [2][]byte
	for _, f := range [...]mask.Format{mask.Text, mask.Binary} {
		value, typ := selectOne(t, conn, f)
		if typ != mask.TypeOID(s.OID, s.Typmod) {
			t.Fatalf("the server's type is %+v", typ)
		}
		plan := compile(t, rules, mask.Column{
			Sources: []mask.Source{{Schema: "public", Table: "sample", Column: "c"}},
			Traced:  true, Type: typ, Format: f,
		})
		out, null := plan.Value(nil, 0, value)
		if null != (name == mask.MethodNull) {
			t.Fatalf("%s, format %d: null is %v", name, f, null)
		}
		if null {
			continue
		}
		exec(t, conn, "BEGIN; DELETE FROM sample")
		insert(t, conn, s, f, out)
		decoded[f], _ = selectOne(t, conn, mask.Text)
		exec(t, conn, "ROLLBACK")
		driverReads(t, s, f, out)
	}
	if !bytes.Equal(decoded[mask.Text], decoded[mask.Binary]) {
		t.Errorf("%s: masked as text it is %q, as binary %q", name, decoded[mask.Text], decoded[mask.Binary])
	}
}

// driverReads has a stock driver decode a value.
func driverReads(t *testing.T, s *masktest.Sample, f mask.Format, b []byte) {
	t.Helper()
	types := pgtype.NewMap()
	typ, ok := types.TypeForOID(s.OID)
	if !ok {
		return // the driver leaves such values undecoded
	}
	if _, err := typ.Codec.DecodeValue(types, s.OID, int16(f), b); err != nil {
		t.Errorf("driver, format %d: %q: %v", f, b, err)
	}
}

func exec(t *testing.T, conn *pgconn.PgConn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func insert(t *testing.T, conn *pgconn.PgConn, s *masktest.Sample, f mask.Format, b []byte) {
	t.Helper()
	if b == nil {
		b = []byte{} // nil would be NULL
	}
	_, err := conn.ExecParams(context.Background(), "INSERT INTO sample VALUES ($1)",
		[][]byte{b}, []uint32{s.OID}, []int16{int16(f)}, nil).Close()
	if err != nil {
		t.Errorf("the server refuses %q in format %d: %v", b, f, err)
		exec(t, conn, "ROLLBACK; BEGIN")
	}
}

func selectOne(t *testing.T, conn *pgconn.PgConn, f mask.Format) ([]byte, mask.Type) {
	t.Helper()
	r := conn.ExecParams(context.Background(), "SELECT c FROM sample", nil, nil, nil, []int16{int16(f)}).Read()
	if r.Err != nil || len(r.Rows) != 1 {
		t.Fatalf("%d rows, error %v", len(r.Rows), r.Err)
	}
	d := r.FieldDescriptions[0]
	return r.Rows[0][0], mask.TypeOID(d.DataTypeOID, d.TypeModifier)
}
