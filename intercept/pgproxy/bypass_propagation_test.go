package pgproxy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/intercept/pgproxy"
)

// changing is a call that makes the session another's, by the setting and by the
// role.
func changing(by string) string {
	if by == "role" {
		return "set_config('role', 'tenant_two', false)"
	}
	return "set_config('headgate.subject', 'agent-two', false)"
}

// An escape has the session call CHANGE in some place, then looks at TABLE. Its twin
// is the same place with a harmless call, and must be done.
type escape struct{ attempt, twin string }

func moreEscapes() []escape {
	return []escape{
		{`SET U&"headg\0061te".subject = 'agent-two'`, `SET U&"headg\0061te".other = 'agent-two'`}, {`SET headgate."subject" = 'agent-two'`, `SET headgate."other" = 'agent-two'`},
		{`SET "HEADGATE"."SUBJECT" TO 'agent-two'`, "SET headgate.others TO 'agent-two'"}, {`SET U&"rol\0065" = 'tenant_two'`, "SET TIME ZONE 'UTC'"}, {`SET "role" TO tenant_two`, `SET "work_mem" TO '8MB'`},
		{"SELECT set_config(E'headgate\\x2esubject', U&'agent\\002dtwo', false)", "SELECT set_config(E'headgate\\x2eother', 'x', false)"},
		{"SELECT f.* FROM CHANGE f", "SELECT f.* FROM concat('x') f"}, {"SELECT * FROM ROWS FROM (CHANGE, generate_series(1, 2)) r", "SELECT * FROM ROWS FROM (concat('x'), generate_series(1, 2)) r"},
		{"VALUES (CHANGE)", "VALUES (concat('x'))"}, {"SELECT 1 ORDER BY CHANGE", "SELECT 1 ORDER BY concat('x')"}, {"SELECT 1 LIMIT length(CHANGE)", "SELECT 1 LIMIT length(concat('x'))"}, {"SELECT 1 WHERE CHANGE <> ''", "SELECT 1 WHERE concat('x') <> ''"},
		{"SELECT count(*) FILTER (WHERE CHANGE <> '') FROM open", "SELECT count(*) FILTER (WHERE concat('x') <> '') FROM open"}, {"SELECT 1 FROM open TABLESAMPLE system (length(CHANGE))", "SELECT 1 FROM open TABLESAMPLE system (length(concat('x')))"},
		{"INSERT INTO open VALUES (length(CHANGE))", "INSERT INTO open VALUES (length(concat('x')))"}, {"UPDATE open SET id = 1 WHERE CHANGE <> ''", "UPDATE open SET id = 1 WHERE concat('x') <> ''"}, {"INSERT INTO open VALUES (1) RETURNING CHANGE", "INSERT INTO open VALUES (1) RETURNING concat('x')"},
		{"MERGE INTO open o USING (VALUES (1)) v(x) ON false WHEN NOT MATCHED THEN INSERT VALUES (length(CHANGE))", "MERGE INTO open o USING (VALUES (1)) v(x) ON false WHEN NOT MATCHED THEN INSERT VALUES (length(concat('x')))"},
		{"COPY (SELECT CHANGE) TO STDOUT", "COPY (SELECT concat('x')) TO STDOUT"}, {"PREPARE q(text) AS SELECT $1; EXECUTE q(CHANGE)", "PREPARE q(text) AS SELECT $1; EXECUTE q(concat('x'))"}, {"CREATE TEMP TABLE made AS SELECT CHANGE", "CREATE TEMP TABLE made AS SELECT concat('x') AS x"},
		{"CREATE AGGREGATE become(text, bool) (SFUNC = set_config, STYPE = text, INITCOND = 'headgate.subject'); SELECT become('agent-two', false)", "SELECT string_agg(x, '') FROM (VALUES ('x')) v(x)"},
		{"CREATE AGGREGATE pg_temp.become(text, bool) (SFUNC = set_config, STYPE = text, INITCOND = 'role'); SELECT pg_temp.become('tenant_two', false)", "SELECT max(x) FROM (VALUES ('x')) v(x)"},
		{"CREATE TABLE own (x int CHECK (CHANGE <> '')); INSERT INTO own VALUES (1)", "CREATE TEMP TABLE own2 (x int CHECK (concat(x) <> '')); INSERT INTO own2 VALUES (1)"},
		{"CREATE TABLE own3 (x int); ALTER TABLE own3 ALTER x SET DEFAULT length(CHANGE); INSERT INTO own3 DEFAULT VALUES", "CREATE TEMP TABLE own4 (x int); ALTER TABLE own4 ALTER x SET DEFAULT length(concat('x')); INSERT INTO own4 DEFAULT VALUES"},
		{"CREATE TABLE own5 (x int); CREATE POLICY p ON own5 USING (CHANGE <> ''); ALTER TABLE own5 ENABLE ROW LEVEL SECURITY; ALTER TABLE own5 FORCE ROW LEVEL SECURITY; INSERT INTO own5 VALUES (1); SELECT * FROM own5", "CREATE TEMP TABLE own6 (x int); INSERT INTO own6 VALUES (1)"},
		{"CREATE SCHEMA mine CREATE VIEW v AS SELECT CHANGE AS x; SELECT * FROM mine.v", "CREATE TEMP VIEW fine AS SELECT concat('x') AS x; SELECT * FROM fine"},
		{"CREATE MATERIALIZED VIEW m AS SELECT CHANGE AS x", "CREATE MATERIALIZED VIEW m2 AS SELECT concat('x') AS x"},
		{"CREATE TABLE own7 (x int); CREATE TRIGGER t BEFORE INSERT ON own7 FOR EACH ROW WHEN (CHANGE <> '') EXECUTE FUNCTION suppress_redundant_updates_trigger(); INSERT INTO own7 VALUES (1)", "CREATE TEMP TABLE own8 (x int); INSERT INTO own8 VALUES (1)"},
		{"ALTER TABLE open ALTER id TYPE int USING length(CHANGE)", "CREATE TEMP TABLE own9 (x int); ALTER TABLE own9 ALTER x TYPE bigint USING length(concat('x'))"},
		{"BEGIN; CHANGE_; ROLLBACK AND CHAIN; SELECT content FROM TABLE_; COMMIT", "BEGIN; SELECT 1; ROLLBACK AND CHAIN; SELECT 1; COMMIT"},
		{"SELECT XMLELEMENT(NAME a, CHANGE)", "SELECT concat('a', 'x')"}, {"SELECT JSON_OBJECT('a': CHANGE)", "SELECT jsonb_build_object('a', concat('x'))"}, {"SELECT CASE WHEN CHANGE = '' THEN 1 END", "SELECT CASE WHEN concat('x') = '' THEN 1 END"},
		{"SELECT (SELECT CHANGE), content FROM TABLE_", "SELECT (SELECT concat('x')), content FROM TABLE_"}, {"SELECT content, CHANGE FROM TABLE_ UNION ALL SELECT content, '' FROM TABLE_", "SELECT content, concat('x') FROM TABLE_ UNION ALL SELECT content, '' FROM TABLE_"},
		{"ALTER SYSTEM SET headgate.subject = 'agent-two'", "SHOW work_mem"}, {"ALTER ROLE ALL SET headgate.subject = 'agent-two'", "SHOW search_path"}, {"ALTER USER tenant_login IN DATABASE postgres SET role = 'tenant_two'", "SHOW role"},
		{"SET LOCAL SESSION AUTHORIZATION 'tenant_two'", "SET LOCAL lock_timeout = 1000"}, {"GRANT tenant_two TO tenant_one WITH INHERIT TRUE", "GRANT SELECT ON open TO PUBLIC"}, {"REASSIGN OWNED BY tenant_two TO tenant_one", "COMMENT ON COLUMN open.id IS 'x'"},
	}
}

// fill puts the names of a kind of propagation in.
func fill(sql, by string) string {
	return strings.NewReplacer("CHANGE_", "SELECT "+changing(by), "CHANGE", changing(by), "TABLE_", "by_"+by).Replace(sql)
}

func TestBypassOfPropagationEverywhere(t *testing.T) {
	for by, propagate := range map[string]pgproxy.Propagation{"setting": bySetting(), "role": byRole()} {
		t.Run(by, func(t *testing.T) {
			r := tenants(t, propagate)
			r.pg.Exec("GRANT CREATE ON DATABASE " + r.pg.Database + " TO PUBLIC; ALTER TABLE open OWNER TO tenant_one")
			look := "SELECT content FROM by_" + by
			for _, e := range moreEscapes() {
				for _, m := range modes()[:2] {
					conn := r.as(t, "agent-one")
					sql := fill(e.attempt, by)
					rows, err := m.run(t.Context(), conn, sql)
					after, lookErr := m.run(t.Context(), conn, look)
					if strings.Contains(joined(rows)+joined(after), "canary") || joined(after) != "for-one" && lookErr == nil {
						t.Errorf("%s: %s: %q %v, then %q %v", m.name, sql, rows, err, after, lookErr)
					}
					_ = conn.Close(t.Context())
				}
				conn := r.as(t, "agent-one")
				twin := fill(e.twin, by)
				if _, err := runSimple(t.Context(), conn, twin); err != nil {
					t.Errorf("twin %s: %v", twin, err)
				}
				if rows, err := runSimple(t.Context(), conn, look); joined(rows) != "for-one" || err != nil {
					t.Errorf("after the twin %s: %q, %v", twin, rows, err)
				}
				_ = conn.Close(t.Context())
			}
			if rows, err := runSimple(t.Context(), r.as(t, "agent-two"), look); joined(rows) != "canary-two" || err != nil {
				t.Errorf("as another: %q, %v", rows, err)
			}
		})
	}
}

// What a client says at startup is not who it is.
func TestBypassOfPropagationAtStartup(t *testing.T) {
	for by, propagate := range map[string]pgproxy.Propagation{"setting": bySetting(), "role": byRole()} {
		r := tenants(t, propagate)
		for _, parameters := range []map[string]string{
			{"headgate.subject": "agent-two"}, {"Headgate.Subject": "agent-two"}, {"role": "tenant_two"}, {"ROLE": "tenant_two"}, {"session_authorization": "tenant_two"},
			{"options": "-c headgate.subject=agent-two"}, {"options": "--headgate.subject=agent-two"}, {"options": "-c role=tenant_two"}, {"options": "-crole=tenant_two"}, {"options": `-c\ role=tenant_two`},
			{"application_name": "x' role='tenant_two"}, {"user": "tenant_two"}, {"user": "agent-two"}, {"DateStyle": "ISO\x01headgate.subject=agent-two"},
			{"application_name": "twin"},
		} {
			config, err := pgx.ParseConfig(strings.Replace(r.url(), token, "agent-one", 1))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range parameters {
				if name == "user" {
					config.User = value
					continue
				}
				config.RuntimeParams[name] = value
			}
			conn, err := pgx.ConnectConfig(t.Context(), config)
			if err != nil {
				if parameters["application_name"] == "twin" {
					t.Errorf("%s: %v", by, err)
				}
				continue // refused
			}
			if rows, err := runSimple(t.Context(), conn, "SELECT content FROM by_"+by); joined(rows) != "for-one" || err != nil {
				t.Errorf("%s: %q: %q, %v", by, parameters, rows, err)
			}
			_ = conn.Close(context.Background())
		}
	}
}
