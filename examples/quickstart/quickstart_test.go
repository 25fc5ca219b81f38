package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver"
	"github.com/headgate/gateway/record"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

// told is what the story must say, in this order, whatever the database.
func told() []string {
	return []string{
		"1. A token that was made for another service opens nothing", "28P01: headgate: authentication failed",
		"2. The agent connects", "ann@shop.example", "support-agent", "agents", "allow",
		"3. It reads", "SELECT id, name, email, card FROM customers", "masked: what looks like email, card, public.customers.card (partial), public.customers.email (email)",
		"Ada Lovelace", "a***@lovelace.example", "***************9013", "g***@hopper.example",
		"4. Another name", "contact", "a***@lovelace.example", "loom",
		"5. What is computed", "ADA LOVELACE",
		"6. What stands in free text", "wants her invoice sent to [email]", "likes the new loom",
		"7. More rows", "54000", `"code":"limit_exceeded"`,
		"8. It tries to drop", "deny: no-schema-changes", "42501", `{"code":"policy_denied","rule":"no-schema-changes"`, "with 4 orders",
		"9. It deletes", "waiting for approval", "It can be decided at http://127.0.0.1:", "ask: confirm-delete", "bea sees",
		"ann@shop.example wants to run: DELETE FROM orders WHERE id = 3", "bea says   yes", "DELETE 1", "has 3 orders left",
		"10. Its session was recorded", "OK: sealed", "with one bit flipped: record: ", "replay", "identity", "DROP TABLE orders", "granted", "DELETE 1",
		"Every step showed what it should.",
	}
}

func checkStory(t *testing.T, story string) {
	t.Helper()
	rest := story
	for _, want := range told() {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q does not come in\n%s", want, story)
		}
		rest = after
	}
	for _, secret := range []string{"ada@lovelace.example", "ADA@", "4929 1234 5678 9013"} {
		if strings.Contains(story, secret) {
			t.Errorf("%q is in the story", secret)
		}
	}
}

func TestStory(t *testing.T) {
	var out, failures bytes.Buffer
	if code := run(t.Context(), nil, &out, &failures, nil); code != exitGood || failures.Len() > 0 {
		t.Fatalf("exit status %d\n%s\n%s", code, failures.String(), out.String())
	}
	checkStory(t, out.String())
}

func TestStoryOnPostgres(t *testing.T) {
	pg := testserver.Postgres(t)
	url := pg.URL()
	var out, failures bytes.Buffer
	if code := run(t.Context(), []string{"-postgres", url, "-record", t.TempDir(), "-log"}, &out, &failures, nil); code != exitGood {
		t.Fatalf("exit status %d\n%s\n%s", code, failures.String(), out.String())
	}
	checkStory(t, out.String())
	if strings.Contains(out.String()+failures.String(), pg.Password) {
		t.Error("the database's password is in the story or in the log")
	}
	left := pg.Query("SELECT datname FROM pg_database WHERE datname LIKE 'headgate_quickstart%'")
	if strings.Contains(fmt.Sprint(left), "headgate_quickstart") {
		t.Error("the database was not dropped:", left)
	}
}

// With -serve, what is printed works.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, failures bytes.Buffer
	up, ended := make(chan *stage, 1), make(chan int, 1)
	go func() { ended <- run(ctx, []string{"-serve"}, &out, &failures, func(s *stage) { up <- s }) }()
	var s *stage
	select {
	case s = <-up:
	case code := <-ended:
		t.Fatalf("exit status %d\n%s", code, failures.String())
	}
	password := found(t, out.String(), `PGPASSWORD=(\S+)`)
	approver := approver{url: s.approvals, token: found(t, out.String(), `BEA=(\S+)`)}
	agent, err := connect(ctx, s.url(password))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		ticket := <-s.tickets
		r, err := approver.get(ctx, ticket.ID)
		if err == nil {
			err = approver.grant(ctx, ticket.ID, r)
		}
		answered <- err
	}()
	if _, tag, err := agent.ask(ctx, "DELETE FROM orders WHERE id = $1", 4); err != nil || tag != "DELETE 1" {
		t.Error(tag, err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	// An agent's token is no good for approving.
	stranger := approver
	stranger.token = password
	if err := stranger.call(ctx, http.MethodGet, "/requests", nil, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
	cancel()
	if code := <-ended; code != exitGood {
		t.Errorf("exit status %d\n%s", code, failures.String())
	}
}

func found(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return m[1]
}

// A step that shows something else makes the program fail.
func TestAWrongStepFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := newStage(ctx, options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.database.direct.Exec(ctx, "DELETE FROM orders"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = s.tell(ctx, &teller{out: &out})
	if err == nil || !strings.Contains(err.Error(), "step 8: expected 4 orders: 0") || strings.Contains(out.String(), "Every step") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := s.close(context.WithoutCancel(ctx)); err != nil {
		t.Error(err)
	}
}

func TestBadArguments(t *testing.T) {
	var out, failures bytes.Buffer
	for _, args := range [][]string{{"-nonsense"}, {"surplus"}} {
		if code := run(t.Context(), args, &out, &failures, nil); code != exitUsage {
			t.Error(args, code)
		}
	}
	if code := run(t.Context(), []string{"-postgres", "postgres://nobody@127.0.0.1:1/x"}, &out, &failures, nil); code != exitBad {
		t.Error(code)
	}
}

func TestTellerIsSafe(t *testing.T) {
	var out bytes.Buffer
	teller := &teller{out: &out}
	teller.linef("gets", "%s", "\x1b]52;c;x\a")
	teller.table([][]string{{"\x1b[2J"}})
	if strings.ContainsAny(out.String(), "\x1b\a") || !strings.Contains(out.String(), record.Sanitize("\x1b")) {
		t.Errorf("%q", out.String())
	}
}

func TestRequestIsRead(t *testing.T) {
	var r request
	if err := json.Unmarshal([]byte(`{"digest":"d","principals":[{"subject":"s"}],"command":{"text":"t"},"reasons":[{"message":"m"}]}`), &r); err != nil || r.Principals[0].Subject != "s" {
		t.Error(r, err)
	}
}
