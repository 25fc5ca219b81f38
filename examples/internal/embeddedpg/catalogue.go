package embeddedpg

import (
	"context"
	"database/sql/driver"
	"strings"
)

// catalogueSchema makes the system catalogues as ordinary tables (manual,
// "System Catalogs"), with the columns that everyday queries use. OIDs of the
// catalogues themselves are PostgreSQL's own.
const catalogueSchema = `
CREATE TABLE pg_catalog.pg_namespace (oid oid PRIMARY KEY, nspname name NOT NULL, nspowner oid NOT NULL DEFAULT 10);
CREATE TABLE pg_catalog.pg_class (oid oid PRIMARY KEY, relname name NOT NULL, relnamespace oid NOT NULL,
	reltype oid NOT NULL DEFAULT 0, relowner oid NOT NULL DEFAULT 10, relkind text NOT NULL DEFAULT 'r',
	relnatts int2 NOT NULL DEFAULT 0, relpersistence text NOT NULL DEFAULT 'p', relispartition bool NOT NULL DEFAULT 0,
	relhasrules bool NOT NULL DEFAULT 0);
CREATE TABLE pg_catalog.pg_attribute (attrelid oid NOT NULL, attname name NOT NULL, atttypid oid NOT NULL,
	attlen int2 NOT NULL, attnum int2 NOT NULL, atttypmod int4 NOT NULL DEFAULT -1, attnotnull bool NOT NULL DEFAULT 0,
	attisdropped bool NOT NULL DEFAULT 0, attgenerated text NOT NULL DEFAULT '', PRIMARY KEY (attrelid, attnum));
CREATE TABLE pg_catalog.pg_type (oid oid PRIMARY KEY, typname name NOT NULL, typnamespace oid NOT NULL DEFAULT 11,
	typlen int2 NOT NULL, typtype text NOT NULL DEFAULT 'b', typrelid oid NOT NULL DEFAULT 0,
	typbasetype oid NOT NULL DEFAULT 0, typtypmod int4 NOT NULL DEFAULT -1, typelem oid NOT NULL DEFAULT 0, typinput oid NOT NULL DEFAULT 0);
CREATE TABLE pg_catalog.pg_enum (enumtypid oid NOT NULL, enumlabel name NOT NULL, enumsortorder float4 NOT NULL);
CREATE TABLE pg_catalog.pg_inherits (inhrelid oid NOT NULL, inhparent oid NOT NULL, inhseqno int4 NOT NULL);
CREATE TABLE pg_catalog.pg_rewrite (oid oid PRIMARY KEY, rulename name NOT NULL, ev_class oid NOT NULL, ev_type text NOT NULL, ev_action text NOT NULL);
CREATE TABLE pg_catalog.pg_proc (oid oid PRIMARY KEY, proname name NOT NULL, pronamespace oid NOT NULL, provolatile text NOT NULL,
	prosecdef bool NOT NULL DEFAULT 0, prolang oid NOT NULL DEFAULT 12,
	prosrc text NOT NULL DEFAULT '', proargtypes text NOT NULL DEFAULT '', prorettype oid NOT NULL DEFAULT 0);
CREATE TABLE pg_catalog.pg_partitioned_table (partrelid oid PRIMARY KEY, partattrs text NOT NULL);
CREATE TABLE pg_catalog.pg_roles (oid oid PRIMARY KEY, rolname name NOT NULL);
CREATE TABLE pg_catalog.pg_db_role_setting (setdatabase oid NOT NULL, setrole oid NOT NULL, setconfig text NOT NULL);
CREATE TABLE pg_catalog.pg_settings (name text PRIMARY KEY, boot_val text NOT NULL, reset_val text NOT NULL);
CREATE TABLE pg_catalog.pg_cast (oid oid PRIMARY KEY, castsource oid NOT NULL, casttarget oid NOT NULL, castfunc oid NOT NULL, castcontext text NOT NULL);
CREATE TABLE pg_catalog.pg_range (rngtypid oid PRIMARY KEY, rngsubtype oid NOT NULL);
CREATE TABLE pg_catalog.pg_operator (oid oid PRIMARY KEY, oprname name NOT NULL, oprnamespace oid NOT NULL, oprcode oid NOT NULL);
CREATE TABLE pg_catalog.pg_attrdef (oid oid PRIMARY KEY, adrelid oid NOT NULL, adnum int2 NOT NULL, adbin text NOT NULL);
CREATE TABLE pg_catalog.pg_depend (classid oid NOT NULL, objid oid NOT NULL, objsubid int4 NOT NULL,
	refclassid oid NOT NULL, refobjid oid NOT NULL, refobjsubid int4 NOT NULL, deptype text NOT NULL);
CREATE TABLE pg_catalog.pg_locks (database oid, relation oid, mode text);
CREATE TABLE pg_catalog.pg_database (oid oid PRIMARY KEY, datname name NOT NULL);
INSERT INTO pg_catalog.pg_namespace (oid, nspname) VALUES (11, 'pg_catalog'), (2200, 'public');
INSERT INTO pg_catalog.pg_class (oid, relname, relnamespace) VALUES (2615, 'pg_namespace', 11), (1259, 'pg_class', 11),
	(1249, 'pg_attribute', 11), (1247, 'pg_type', 11), (2611, 'pg_inherits', 11), (2618, 'pg_rewrite', 11),
	(2608, 'pg_depend', 11), (1262, 'pg_database', 11), (1255, 'pg_proc', 11), (2617, 'pg_operator', 11), (2604, 'pg_attrdef', 11);
INSERT INTO pg_catalog.pg_type (oid, typname, typlen) VALUES (16, 'bool', 1), (17, 'bytea', -1), (19, 'name', 64), (20, 'int8', 8),
	(21, 'int2', 2), (23, 'int4', 4), (25, 'text', -1), (26, 'oid', 4), (114, 'json', -1), (700, 'float4', 4), (701, 'float8', 8),
	(1042, 'bpchar', -1), (1043, 'varchar', -1), (1082, 'date', 4), (1114, 'timestamp', 8), (1184, 'timestamptz', 8),
	(1700, 'numeric', -1), (2950, 'uuid', 16), (3802, 'jsonb', -1);`

// createCatalogue fills an empty pg_catalog.
func (e *engine) createCatalogue(ctx context.Context, database, user string) error {
	for sql := range strings.SplitSeq(catalogueSchema, ";") {
		if strings.TrimSpace(sql) == "" {
			continue
		}
		if err := e.exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := e.exec(ctx, `INSERT INTO pg_catalog.pg_database VALUES (16384, ?1)`, database); err != nil {
		return err
	}
	if err := e.exec(ctx, `INSERT INTO pg_catalog.pg_roles VALUES (10, ?1)`, user); err != nil {
		return err
	}
	for name, value := range newSettings().original {
		if err := e.exec(ctx, `INSERT INTO pg_catalog.pg_settings VALUES (?1, ?2, ?2)`, name, value); err != nil {
			return err
		}
	}
	return e.refreshColumns(ctx, "pg_catalog", "11")
}

// firstObject is the first OID that is not the system's own.
const firstObject = "16385"

// refreshCatalogue makes pg_catalog tell of the tables that there are. Tables and
// columns that stay keep their numbers. It runs in the transaction of the
// statement that changed them.
func (e *engine) refreshCatalogue(ctx context.Context) error {
	for _, sql := range []string{
		`DELETE FROM pg_catalog.pg_class WHERE relnamespace = 2200 AND relname NOT IN
			(SELECT name FROM main.sqlite_master WHERE type = 'table')`,
		`INSERT INTO pg_catalog.pg_class (oid, relname, relnamespace)
			SELECT (SELECT max(max(oid) + 1, ` + firstObject + `) FROM pg_catalog.pg_class) + row_number() OVER (ORDER BY rowid), name, 2200
			FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
			AND name NOT IN (SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 2200)`,
		`DELETE FROM pg_catalog.pg_attribute WHERE attrelid NOT IN (SELECT oid FROM pg_catalog.pg_class)`,
	} {
		if err := e.exec(ctx, sql); err != nil {
			return err
		}
	}
	return e.refreshColumns(ctx, "main", "2200")
}

// refreshColumns brings pg_attribute in line with the tables of one schema.
func (e *engine) refreshColumns(ctx context.Context, schema, namespace string) error {
	_, found, err := e.query(ctx, `SELECT c.oid, p.name, p.type, p."notnull" OR p.pk > 0 FROM pg_catalog.pg_class c,
		pragma_table_xinfo(c.relname, '`+schema+`') p WHERE c.relnamespace = `+namespace+` AND p.hidden <> 1 ORDER BY c.oid, p.cid`)
	if err != nil {
		return err
	}
	if err := e.exec(ctx, `DELETE FROM pg_catalog.pg_attribute WHERE (attrelid, attname) NOT IN (SELECT c.oid, p.name
		FROM pg_catalog.pg_class c, pragma_table_xinfo(c.relname, '`+schema+`') p) AND attrelid IN
		(SELECT oid FROM pg_catalog.pg_class WHERE relnamespace = `+namespace+`)`); err != nil {
		return err
	}
	for _, row := range found {
		declared, _ := row[2].(string)
		t := declaredType(declared)
		if err := e.exec(ctx, `INSERT INTO pg_catalog.pg_attribute (attrelid, attname, atttypid, attlen, attnotnull, attnum)
			SELECT ?1, ?2, ?3, ?4, ?5, coalesce((SELECT max(attnum) FROM pg_catalog.pg_attribute WHERE attrelid = ?1), 0) + 1
			WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = ?1 AND attname = ?2)`,
			row[0], row[1], int64(t.oid), int64(t.size), row[3]); err != nil {
			return err
		}
	}
	return e.exec(ctx, `UPDATE pg_catalog.pg_class SET relnatts =
		(SELECT count(*) FROM pg_catalog.pg_attribute WHERE attrelid = oid)`)
}

// place finds the numbers of a table's column; zeros if it is not in the
// catalogue.
func (e *engine) place(ctx context.Context, schema, table, column string) (oid uint32, attribute uint16, err error) {
	if schema == "main" {
		schema = "public"
	}
	_, rows, err := e.query(ctx, `SELECT c.oid, a.attnum FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
		WHERE n.nspname = ?1 AND c.relname = ?2 AND a.attname = ?3`, schema, table, column)
	if err != nil || len(rows) == 0 {
		return 0, 0, err
	}
	return uint32(integer(rows[0][0])), uint16(integer(rows[0][1])), nil //nolint:gosec // OIDs and attribute numbers that this package gave
}

func integer(v driver.Value) int64 {
	n, _ := v.(int64) // the catalogue's own columns hold nothing else
	return n
}
