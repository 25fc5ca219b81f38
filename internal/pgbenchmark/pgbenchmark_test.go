//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headgate/gateway/internal/testserver"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == copyArgument { // as startCopy runs it
		if err := serveCopy(os.Stdin, os.Stdout, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestParseOutcome(t *testing.T) {
	const text = `transaction type: <builtin: select only>
number of transactions actually processed: 52344
number of failed transactions: 0 (0.000%)
latency average = 0.455 ms
initial connection time = 31.046 ms
tps = 17584.123 (without initial connection time)
`
	got, err := parseOutcome(text)
	if err != nil || got != (outcome{52344, 17584.123}) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"nothing":          "",
		"failures":         strings.Replace(text, "failed transactions: 0", "failed transactions: 7", 1),
		"no transactions":  strings.Replace(text, "processed: 52344", "processed: 0", 1),
		"no rate":          strings.Replace(text, "tps", "", 1),
		"garbled the rate": strings.Replace(text, "17584.123", "1.2.3", 1),
	} {
		if got, err := parseOutcome(bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestProcessCPU(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("known on Linux only")
	}
	before := processCPU(os.Getpid())
	var own syscall.Rusage
	for used := 0.0; used < 0.05; { // until the kernel's other account says that it was spent
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
			t.Fatal(err)
		}
		used = processCPU(os.Getpid()) - before
	}
	total := float64(own.Utime.Nano()+own.Stime.Nano()) / 1e9
	if got := processCPU(os.Getpid()); got < total-0.02 || got > total+1 {
		t.Errorf("processCPU = %v, getrusage says %v", got, total)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if got := processCPU(gone.Process.Pid); !math.IsNaN(got) {
		t.Errorf("a process that isn't there has used %v", got)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median(%v) = %v, want %v", values, got, want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing = %v", got)
	}
}

// Ratios are taken within a round: here each round has the same ratio, although
// the machine was twice as fast in the second.
func TestReport(t *testing.T) {
	at := func(perSecond, micros, cpu float64) point {
		return point{perSecond, time.Duration(micros * 1000), cpu / 1e6}
	}
	s := &series{rounds: []turn{
		{[]point{at(1000, 100, math.NaN()), at(500, 140, 30), at(250, 160, 45)}},
		{[]point{at(2000, 50, math.NaN()), at(1000, 70, 20), at(500, 80, 30)}},
	}}
	var out bytes.Buffer
	load := workload{name: "select-c1", unit: "statement", clients: 1, statements: 1, target: 1, stretch: 0.8}
	if err := report(&out, []workload{load}, map[string]*series{"select-c1": s}); err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == "select-c1" {
			rows = append(rows, f)
		}
	}
	want := [][]string{
		strings.Fields("select-c1 statement 1500 0.50 25.0 0.25 37.5 1.50 <= 1 <= 0.8"),
		strings.Fields("select-c1 75.0 30.0 1.00 45.0 1.50"),
	}
	if fmt.Sprint(rows) != fmt.Sprint(want) {
		t.Errorf("report:\n%s\ngot  %v\nwant %v", out.String(), rows, want)
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{"-rounds=0", "-duration=1500ms", "-duration=0s", "-scale=0", "-idle=0", "-stream=0", "-nonsense"} {
		if s, err := parseFlags([]string{bad}); err == nil {
			t.Errorf("%s: %+v", bad, s)
		}
	}
	if _, _, err := chosen("select-c1,nonsense"); err == nil {
		t.Error("an unknown workload is accepted")
	}
	if got, _, err := chosen("default-c8,select-c1"); err != nil || len(got) != 2 || got[0].name != "default-c8" {
		t.Errorf("chosen = %+v, %v", got, err)
	}
}

func TestCopyCarriesBothWays(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	go func() { // answers each line in capitals and hangs up after "bye"
		c, err := upstream.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for in := bufio.NewScanner(c); in.Scan() && in.Text() != "bye"; {
			fmt.Fprintln(c, strings.ToUpper(in.Text()))
		}
	}()
	stdin, endStdin := io.Pipe()
	stdout, copyOut := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveCopy(stdin, copyOut, upstream.Addr().String()) }()
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "hello\nbye\n")
	if all, err := io.ReadAll(c); err != nil || string(all) != "HELLO\n" {
		t.Errorf("read %q, %v", all, err)
	}
	endStdin.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFigures(t *testing.T) {
	var out bytes.Buffer
	err := reportFigures(&out, []figure{
		{name: "idle", unit: "KiB", value: 12.34, target: 16, stretch: 4},
		{name: "speed", unit: "MB/s", value: 700, target: 300, atLeast: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"idle KiB 12.3 <= 16 <= 4", "speed MB/s 700.0 >= 300 -"} {
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

// A server's error is an answer that fails, and what stands behind it is read.
func TestDrain(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		rows int
		fail bool
	}{
		"rows":  {slices.Concat(message('T', nil), message('D', make([]byte, 300<<10)), message('D', []byte("x")), message('Z', []byte("I"))), 2, false},
		"error": {slices.Concat(message('E', []byte("SFATAL")), message('Z', []byte("I"))), 0, true},
	} {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write(c.in)
			_ = server.Close()
		}()
		got, err := drain(client, 'Z')
		if got.rows != c.rows || (err != nil) != c.fail {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if !c.fail && got.size != len(c.in) {
			t.Errorf("%s: %d bytes, want %d", name, got.size, len(c.in))
		}
		_ = client.Close()
	}
}

func TestBenchmarkRuns(t *testing.T) {
	testserver.Command(t, "pgbench")
	var out bytes.Buffer
	s := settings{
		rounds: 1, duration: time.Second, scale: 1, idle: 5, streamMB: 5, gateway: true,
		only: "select-c1,masked-c8,tls-connect,connect-scram,rows,tls-rows",
	}
	names := []string{"PostgreSQL", "select-c1", "masked-c8", "tls-connect", "connect-scram", "rows", "tls-rows", "copy adds us", "gateway adds us"}
	if runtime.GOOS == "linux" {
		s.only += ",memory"
		names = append(names, "idle connection", "idle TLS connection", "peak while 5 MB stream")
	}
	if err := run(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range names {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	if runtime.GOOS == "linux" && strings.Contains(out.String(), "n/a") {
		t.Errorf("the report lacks CPU times:\n%s", out.String())
	}
}
