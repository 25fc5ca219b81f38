package walcommand_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/headgate/gateway/intercept/pgproxy/internal/walcommand"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]walcommand.Command{
		"IDENTIFY_SYSTEM": {Name: walcommand.IdentifySystem}, " \n\tIDENTIFY_SYSTEM ; ": {Name: walcommand.IdentifySystem},
		"SHOW data_directory_mode":                                  {Name: walcommand.Show, Setting: "data_directory_mode"},
		`SHOW My."Set".ting;`:                                       {Name: walcommand.Show, Setting: "my.Set.ting"},
		"TIMELINE_HISTORY 2":                                        {Name: walcommand.TimelineHistory},
		"UPLOAD_MANIFEST":                                           {Name: walcommand.UploadManifest},
		"READ_REPLICATION_SLOT s":                                   {Name: walcommand.ReadSlot, Slot: "s"},
		`DROP_REPLICATION_SLOT "S" WAIT`:                            {Name: walcommand.DropSlot, Slot: "S"},
		`DROP_REPLICATION_SLOT"s"`:                                  {Name: walcommand.DropSlot, Slot: "s"},
		"CREATE_REPLICATION_SLOT Standby TEMPORARY PHYSICAL":        {Name: walcommand.CreateSlot, Slot: "standby"},
		"CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL":            {Name: walcommand.CreateSlot, Slot: "s", Options: []walcommand.Option{{Name: "reserve_wal"}}},
		"CREATE_REPLICATION_SLOT physical PHYSICAL ( RESERVE_WAL )": {Name: walcommand.CreateSlot, Slot: "physical", Options: []walcommand.Option{{Name: "reserve_wal"}}},
		`CREATE_REPLICATION_SLOT "sub" LOGICAL pgoutput (SNAPSHOT 'nothing', TWO_PHASE)`: {
			Name: walcommand.CreateSlot, Slot: "sub", Logical: true, Plugin: "pgoutput", Options: []walcommand.Option{{"snapshot", "nothing"}, {Name: "two_phase"}},
		},
		"ALTER_REPLICATION_SLOT s ( FAILOVER false )":           {Name: walcommand.AlterSlot, Slot: "s", Options: []walcommand.Option{{"failover", "false"}}},
		"START_REPLICATION 0/3000000 TIMELINE 1":                {Name: walcommand.Start},
		`START_REPLICATION SLOT "s" PHYSICAL ABCDEF01/0`:        {Name: walcommand.Start, Slot: "s"},
		`START_REPLICATION SLOT s LOGICAL 0/0`:                  {Name: walcommand.Start, Slot: "s", Logical: true},
		`START_REPLICATION SLOT "s" LOGICAL 0/0 (a 'it''s', b)`: {Name: walcommand.Start, Slot: "s", Logical: true, Options: []walcommand.Option{{"a", "it's"}, {Name: "b"}}},
		"BASE_BACKUP": {Name: walcommand.BaseBackup},
		"BASE_BACKUP ( LABEL 'x;y',  PROGRESS,  WAIT 0, MAX_RATE 32, TARGET 'client')": {
			Name: walcommand.BaseBackup, Options: []walcommand.Option{{"label", "x;y"}, {Name: "progress"}, {"wait", "0"}, {"max_rate", "32"}, {"target", "client"}},
		},
	} {
		c, err := walcommand.Parse(text)
		if err != nil || !reflect.DeepEqual(*c, want) {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
		if !walcommand.Is(text) {
			t.Errorf("%q is taken for SQL", text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"IDENTIFY_SYSTEM; DROP TABLE t", "IDENTIFY_SYSTEM;;", "IDENTIFY_SYSTEM IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM -- x", "IDENTIFY_SYSTEM /* x */", "\rIDENTIFY_SYSTEM", "\vSHOW a",
		"SHOW", "SHOW a b", "SHOW 'a'", "SHOW a.", "SHOW a; SELECT 1", "SHOW é", "SHOW SLOT",
		"DROP_REPLICATION_SLOT", `DROP_REPLICATION_SLOT "a""b"`, `DROP_REPLICATION_SLOT "a`, `DROP_REPLICATION_SLOT ""`, "DROP_REPLICATION_SLOT 's'", "DROP_REPLICATION_SLOT s wait",
		"DROP_REPLICATION_SLOT " + strings.Repeat("a", 64), "DROP_REPLICATION_SLOT 1s", "DROP_REPLICATION_SLOT s$\xff",
		"CREATE_REPLICATION_SLOT s", "CREATE_REPLICATION_SLOT s LOGICAL", "CREATE_REPLICATION_SLOT s PHYSICAL NOTHING", "CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL (A)",
		"START_REPLICATION", "START_REPLICATION 0", "START_REPLICATION 0/", "START_REPLICATION 0/G", "START_REPLICATION 123456789/0", "START_REPLICATION LOGICAL 0/0", "START_REPLICATION 0/0 TIMELINE x",
		"START_REPLICATION SLOT s PHYSICAL 0/0 (a)", "START_REPLICATION SLOT s LOGICAL 0/0 (a", "START_REPLICATION SLOT s LOGICAL 0/0 ()", "START_REPLICATION SLOT s LOGICAL 0/0 (a 'b)",
		"BASE_BACKUP LABEL 'x'", "BASE_BACKUP (LABEL 'x'", "BASE_BACKUP (LABEL 'x',)", "BASE_BACKUP 'x'", "TIMELINE_HISTORY", "TIMELINE_HISTORY 99999999999", "UPLOAD_MANIFEST x", "ALTER_REPLICATION_SLOT s",
	} {
		if c, err := walcommand.Parse(text); !errors.Is(err, walcommand.ErrSyntax) {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
		if !walcommand.Is(text) {
			t.Errorf("%q is taken for SQL", text)
		}
	}
	for _, text := range []string{"", "SELECT 1", "show a", "Identify_System", "SHOWER", "SHOW$", "SHOW_a", "SHOWé", "/**/SHOW a", "--\nSHOW a", `"SHOW" a`, "'SHOW'", "(BASE_BACKUP)", ";SHOW a", "\xa0SHOW a"} {
		if _, err := walcommand.Parse(text); err == nil || walcommand.Is(text) {
			t.Errorf("%q is no command", text)
		}
	}
}

// What is parsed is a command to the server as well, and says its names in its text.
func FuzzParse(f *testing.F) {
	f.Add("IDENTIFY_SYSTEM")
	f.Add(`CREATE_REPLICATION_SLOT "s" TEMPORARY LOGICAL test_decoding (SNAPSHOT 'use', TWO_PHASE 1)`)
	f.Add("START_REPLICATION SLOT s LOGICAL 0/0 (a 'it''s')")
	f.Add("BASE_BACKUP (LABEL 'x', MAX_RATE 32);")
	f.Add("SHOW a.b")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := walcommand.Parse(text)
		if err != nil {
			if !errors.Is(err, walcommand.ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		if !walcommand.Is(text) {
			t.Fatalf("%q is taken for SQL", text)
		}
		for _, name := range []string{c.Slot, c.Plugin} {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(name)) || len(name) > 63 {
				t.Fatalf("%q: made up %q", text, name)
			}
		}
		if bare := strings.TrimRight(text, " \t\n"); strings.Count(bare, ";") > 0 && !strings.ContainsAny(bare, `'"`) && strings.Index(bare, ";") != len(bare)-1 {
			t.Fatalf("%q: two commands", text)
		}
	})
}
