package pgproxy_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// Two agents, each of whom may see one row. The table's owner is not the one that
// logs in, and FORCE is for the owner's sake.
const tenantSetup = `
CREATE ROLE tenant_login LOGIN PASSWORD 'tenant-password' NOSUPERUSER;
CREATE ROLE tenant_one NOLOGIN; CREATE ROLE tenant_two NOLOGIN;
GRANT tenant_one, tenant_two TO tenant_login;
CREATE TABLE by_setting (owner text, content text);
INSERT INTO by_setting VALUES ('agent-one', 'for-one'), ('agent-two', 'canary-two');
ALTER TABLE by_setting ENABLE ROW LEVEL SECURITY; ALTER TABLE by_setting FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON by_setting USING (owner = current_setting('headgate.subject', true));
CREATE TABLE by_role (owner text, content text);
INSERT INTO by_role VALUES ('tenant_one', 'for-one'), ('tenant_two', 'canary-two');
ALTER TABLE by_role ENABLE ROW LEVEL SECURITY; ALTER TABLE by_role FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON by_role USING (owner = current_user);
CREATE TABLE open (id int);
GRANT ALL ON by_setting, by_role, open TO PUBLIC;
GRANT ALL ON SCHEMA public TO PUBLIC;
CREATE FUNCTION harmless() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION harmless() OWNER TO tenant_login;`

// tenants is a rig whose token is the subject's name.
func tenants(t *testing.T, propagate pgproxy.Propagation, opts ...testserver.Option) *rig {
	t.Helper()
	return newRig(t, rigConfig{
		driver: onReactor, pg: append(opts, testserver.Own()), setup: tenantSetup,
		source: fixedCredential("tenant_login", "tenant-password"),
		proxy:  pgproxy.Config{Propagate: propagate},
		verifier: identity.VerifierFunc(func(_ context.Context, p identity.Proof) (policy.Identity, error) {
			return policy.Identity{Subject: p.Token.Reveal(), Issuer: "test", Method: "static"}, nil
		}),
	})
}

func (r *rig) as(t *testing.T, subject string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(strings.Replace(r.url(), token, subject, 1))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("connect as %s: %v\n%s", subject, err, r.logs)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func bySetting() pgproxy.Propagation {
	return pgproxy.Propagation{
		ApplicationName: true,
		Settings:        map[string]func(*policy.Identity) (string, error){"headgate.subject": pgproxy.Subject},
	}
}

func byRole() pgproxy.Propagation {
	return pgproxy.Propagation{Role: func(id *policy.Identity) (string, error) {
		name, ok := strings.CutPrefix(id.Subject, "agent-")
		if !ok {
			return "", errors.New("no role for this subject")
		}
		return "tenant_" + name, nil
	}}
}

// escapes are ways to become another, for both kinds: %s is the table.
var escapes = []string{
	"SET headgate.subject = 'agent-two'", "SET LOCAL headgate.subject TO 'agent-two'", `SET "Headgate.Subject" = 'agent-two'`, "SET SESSION HEADGATE.SUBJECT = 'agent-two'",
	"BEGIN; SET LOCAL headgate.subject = 'agent-two'; SELECT content FROM %s; COMMIT",
	"SELECT set_config('headgate.subject', 'agent-two', false)", "SELECT set_config('HEADGATE.subject', 'agent-two', false), content FROM %s", "SELECT pg_catalog.set_config('headgate' || '.subject', 'agent-two', false)",
	"WITH s AS MATERIALIZED (SELECT set_config('headgate.subject', 'agent-two', false)) SELECT content FROM s, %s", "UPDATE pg_settings SET setting = 'agent-two' WHERE name = 'headgate.subject'",
	"SELECT set_config(n, 'agent-two', false) FROM (VALUES ('headgate.subject')) v(n)",
	"DO $$ BEGIN PERFORM set_config('headgate.subject', 'agent-two', false); END $$", "DO $$ BEGIN EXECUTE 'SET ROLE tenant_two'; END $$", "DO 'BEGIN SET SESSION AUTHORIZATION DEFAULT; END'",
	"CREATE FUNCTION pg_temp.become() RETURNS text LANGUAGE sql AS $$ SELECT set_config('headgate.subject', 'agent-two', false) $$; SELECT pg_temp.become()",
	"CREATE FUNCTION become() RETURNS SETOF text LANGUAGE sql SET headgate.subject = 'agent-two' AS 'SELECT content FROM %s'; SELECT * FROM become()",
	"CREATE FUNCTION become2() RETURNS SETOF text LANGUAGE sql SET role = 'tenant_two' AS 'SELECT content FROM %s'; SELECT * FROM become2()",
	"ALTER FUNCTION harmless() SET headgate.subject = 'agent-two'", "ALTER FUNCTION harmless() SET role = 'tenant_two'", "ALTER FUNCTION harmless() SET session_authorization = 'tenant_two'",
	"CREATE PROCEDURE p() LANGUAGE sql AS $$ SELECT set_config('headgate.subject', 'agent-two', false) $$; CALL p()",
	"SELECT query_to_xml($$SELECT set_config('headgate.subject', 'agent-two', false)$$, true, false, '')", "SELECT query_to_xml($$SELECT set_config('role', 'tenant_two', false)$$, true, false, '')",
	"SELECT table_to_xml('%s', true, false, '')", "SELECT * FROM cursor_to_xml('c', 1, true, false, '')",
	"PREPARE p AS SELECT set_config('headgate.subject', 'agent-two', false); EXECUTE p", "EXPLAIN ANALYZE SELECT set_config('headgate.subject', 'agent-two', false)",
	"BEGIN; DECLARE c CURSOR FOR SELECT set_config('headgate.subject', 'agent-two', false); FETCH c; COMMIT",
	"CREATE TEMP TABLE d (x text DEFAULT set_config('headgate.subject', 'agent-two', false)); INSERT INTO d DEFAULT VALUES",
	"CREATE TEMP VIEW v AS SELECT set_config('headgate.subject', 'agent-two', false); SELECT * FROM v",
	"ALTER ROLE CURRENT_USER SET headgate.subject = 'agent-two'", "ALTER ROLE tenant_login SET role = 'tenant_two'", "ALTER DATABASE postgres SET headgate.subject = 'agent-two'",
	"CREATE RULE r AS ON INSERT TO open DO ALSO SELECT set_config('headgate.subject', 'agent-two', false)",
	"CREATE DOMAIN dom AS text CHECK (set_config('headgate.subject', 'agent-two', false) <> ''); SELECT 'x'::dom",
	"CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
	"RESET headgate.subject", "SET headgate.subject TO DEFAULT", "RESET ALL", "DISCARD ALL", "DISCARD TEMP",
	"SET ROLE tenant_two", "SET LOCAL ROLE tenant_two", "SET ROLE NONE", "SET ROLE 'none'", "RESET ROLE", "SET ROLE TO DEFAULT", "SELECT set_config('role', 'tenant_two', false)", "SELECT set_config('role', 'none', true)", "SELECT set_config('role', NULL, false)",
	"SELECT set_config('headgate.subject', NULL, false)",
	"SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION", "SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET SESSION AUTHORIZATION tenant_login", "RESET session_authorization", "SELECT set_config('session_authorization', 'tenant_login', false)",
	"BEGIN; SET LOCAL ROLE tenant_two; ROLLBACK; SELECT content FROM %s", "BEGIN; SAVEPOINT s; SET ROLE tenant_two; ROLLBACK TO s; COMMIT",
	"SET row_security = off", "ALTER TABLE %s DISABLE ROW LEVEL SECURITY", "DROP POLICY own ON %s", "COPY %s TO STDOUT",
	"LISTEN x", "SELECT current_setting('headgate.subject')", "SELECT current_user, session_user",
}

func TestBypassByAnotherIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		propagate pgproxy.Propagation
		table     string
		opts      []testserver.Option
	}{
		"setting":     {bySetting(), "by_setting", nil},
		"role":        {byRole(), "by_role", nil},
		"setting, 18": {bySetting(), "by_setting", []testserver.Option{testserver.Version18()}},
		"role, 18":    {byRole(), "by_role", []testserver.Option{testserver.Version18()}},
	} {
		t.Run(name, func(t *testing.T) {
			r := tenants(t, test.propagate, test.opts...)
			look := "SELECT content FROM " + test.table
			for i, m := range modes() {
				if i > 1 {
					break // text in both protocols
				}
				for _, escape := range escapes {
					conn := r.as(t, "agent-one")
					sql := strings.ReplaceAll(escape, "%s", test.table)
					rows, err := m.run(t.Context(), conn, sql)
					after, lookErr := m.run(t.Context(), conn, look)
					if strings.Contains(joined(rows)+joined(after), "canary") || joined(after) != "for-one" && lookErr == nil {
						t.Errorf("%s: %s: %q %v, then %q %v", m.name, sql, rows, err, after, lookErr)
					}
					_ = conn.Close(t.Context())
				}
			}
			// What is stored must not reach those who come later.
			if rows, err := runSimple(t.Context(), r.as(t, "agent-one"), look); joined(rows) != "for-one" || err != nil {
				t.Errorf("in the end: %q, %v", rows, err)
			}
			if rows, err := runSimple(t.Context(), r.as(t, "agent-two"), look); joined(rows) != "canary-two" || err != nil {
				t.Errorf("as another: %q, %v", rows, err)
			}
		})
	}
}

// What a pool does between two uses works, and ordinary settings may be changed.
func TestPropagationTwins(t *testing.T) {
	for name, test := range map[string]struct {
		propagate pgproxy.Propagation
		table     string
	}{"setting": {bySetting(), "by_setting"}, "role": {byRole(), "by_role"}} {
		t.Run(name, func(t *testing.T) {
			r := tenants(t, test.propagate)
			conn := r.as(t, "agent-one")
			for _, sql := range []string{
				"DISCARD ALL", "RESET ALL", "SET work_mem = '8MB'", "SET headgate.other = 'x'", "SELECT set_config('headgate.other', 'y', false)", "RESET headgate.subject", "RESET ROLE",
				"BEGIN", "SET LOCAL statement_timeout = 1000", "INSERT INTO open VALUES (1)", "COMMIT", "PREPARE p AS SELECT 1", "EXECUTE p", "SELECT harmless()",
				"CREATE TEMP TABLE mine (id int)", "DISCARD TEMP", "DISCARD ALL",
			} {
				if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
					t.Errorf("%s: %v", sql, err)
				}
				if rows, err := runSimple(t.Context(), conn, "SELECT content FROM "+test.table); joined(rows) != "for-one" || err != nil {
					t.Errorf("after %s: %q, %v", sql, rows, err)
				}
			}
		})
	}
}

func TestPropagationByPsql(t *testing.T) {
	r := tenants(t, bySetting())
	cmd := exec.CommandContext(t.Context(), testserver.Command(t, "psql"), "-X", "-At", "-c", "DISCARD ALL", "-c", "SELECT content FROM by_setting", "-c", "SHOW application_name")
	cmd.Env = append(r.env(), "PGPASSWORD=agent-one", "PGAPPNAME=headgate:somebody-else")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "DISCARD ALL\nfor-one\nheadgate:agent-one\n" {
		t.Fatalf("got %q, %v", out, err)
	}
}

func TestApplicationName(t *testing.T) {
	r := tenants(t, pgproxy.Propagation{ApplicationName: true})
	for subject, want := range map[string]string{
		"agent-one": "headgate:agent-one", "Ann Ü": "headgate:Ann ?", "a\nb": "headgate:a?b", strings.Repeat("x", 100): "headgate:" + strings.Repeat("x", 54),
		"';DROP": "headgate:';DROP",
	} {
		config, err := pgx.ParseConfig(r.url())
		if err != nil {
			t.Fatal(err)
		}
		config.Password, config.RuntimeParams["application_name"] = subject, "somebody-else"
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{"SELECT 1", "SET application_name = 'x'", "SELECT set_config('application_name', 'x', false)", "RESET application_name", "DISCARD ALL"} {
			_, _ = conn.PgConn().Exec(t.Context(), sql).ReadAll() // refused, or comes back to the name
			if rows, err := runSimple(t.Context(), conn, "SHOW application_name"); joined(rows) != want || err != nil {
				t.Errorf("after %s: %q, %v, want %q", sql, rows, err, want)
			}
		}
		// Without settings and role code is not refused.
		if _, err := conn.Exec(t.Context(), "DO 'BEGIN END'"); err != nil {
			t.Error(err)
		}
		_ = conn.Close(t.Context())
	}
}

func TestPropagationThatCannotBe(t *testing.T) {
	r := tenants(t, byRole())
	for subject, want := range map[string]string{"stranger": "0A000", "agent-three": "08"} {
		config, err := pgx.ParseConfig(strings.Replace(r.url(), token, subject, 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.ConnectConfig(t.Context(), config); !strings.HasPrefix(sqlState(err), want) {
			t.Errorf("%s: got %v", subject, err)
		}
	}
	for _, p := range []pgproxy.Propagation{
		{Settings: map[string]func(*policy.Identity) (string, error){"subject": pgproxy.Subject}},
		{Settings: map[string]func(*policy.Identity) (string, error){"a.b": nil}},
		{Settings: map[string]func(*policy.Identity) (string, error){"A.b": pgproxy.Subject}},
		{Settings: map[string]func(*policy.Identity) (string, error){"a.b'": pgproxy.Subject}},
		{Settings: map[string]func(*policy.Identity) (string, error){"a.b.c": pgproxy.Subject}},
	} {
		if _, err := pgproxy.New(pgproxy.Config{Upstream: "127.0.0.1:1", Database: "x", Propagate: p}); err == nil {
			t.Errorf("%v is accepted", p.Settings)
		}
	}
}

func fixedCredential(user, password string) credsource.Source {
	return credsource.SourceFunc(func(context.Context, credsource.Request) (*credsource.Credential, error) {
		return &credsource.Credential{Username: user, Password: secret.New(password)}, nil
	})
}
