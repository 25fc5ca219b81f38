package pgproxy_test

import "testing"

// Large objects and notifications carry values away from the columns that have
// masks: what is put into them must be refused or be no masked value. The twins of the
// first two are carried; their 0 is the constant that hides what such calls return.
func TestBypassByObjectsAndChannels(t *testing.T) {
	tryAll(t, []attempt{
		{"large object in parts", []string{"SELECT lo_create(4712)", "SELECT lo_put(4712, 0, email::bytea) FROM people WHERE id = 1", "SELECT lo_get(4712)", "SELECT lo_get(4712, 0, 100)", "SELECT data FROM pg_largeobject WHERE loid = 4712"},
			"SELECT lo_unlink(lo_create(4713))", "0"},
		{"large object by descriptor", []string{"SELECT lo_create(4714)", "SELECT lowrite(lo_open(4714, 131072), convert_to(card, 'UTF8')) FROM people WHERE id = 1", "SELECT loread(lo_open(4714, 262144), 1000)", "SELECT lo_get(4714)"},
			"SELECT lo_creat(-1)", "0"},
		{"large object named by a value", []string{"SELECT lo_create(salary % 2000000000) FROM people WHERE id = 1", "SELECT lo_create((salary / 10)::oid) FROM people", "SELECT oid * 10 FROM pg_largeobject_metadata", "SELECT lo_unlink((salary / 10)::oid) FROM people"},
			"SELECT count(*) FROM pg_largeobject_metadata", "0"},
		{"channel named by a value", []string{"DO $$ BEGIN EXECUTE 'LISTEN ' || quote_ident((SELECT email FROM people WHERE id = 1)); END $$", "SELECT pg_listening_channels()", "SELECT pg_notify(email, '') FROM people", "SELECT 1"},
			"SELECT count(*) FROM pg_listening_channels()", "0"},
		{"payload out of an aggregate", []string{"LISTEN me", "SELECT pg_notify('me', string_agg(email, ',')) FROM people", "WITH x AS (SELECT pg_notify('me', card) FROM people) SELECT count(*) FROM x", "SELECT 1"},
			"SELECT pg_notify('other', '') IS NULL", "f"},
	})
}
