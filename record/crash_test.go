package record

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A log cut anywhere is read up to its last whole record and proven up to its
// last checkpoint, and says so; a log that a crash left with reserved zeros behind
// it is the same.
func TestCutAnywhere(t *testing.T) {
	eachSample(t, func(t *testing.T, rng *rand.Rand, s sample) {
		t.Helper()
		edge := len(s.head)
		for whole, r := range s.records {
			for _, torn := range []int{0, 1, 11, 31, 32, 33, rng.IntN(len(r)), len(r) - 3, len(r) - 1} {
				s.checkCut(t, edge+torn, uint64(whole))
			}
			edge += len(r)
		}
	})
}

// checkCut cuts the log at an offset in front of which there are so many whole
// records.
func (s sample) checkCut(t *testing.T, cut int, whole uint64) {
	t.Helper()
	checkpoint := int64(-1)
	for i := range whole {
		if Type(s.records[i][12]) == TypeCheckpoint {
			checkpoint = int64(i)
		}
	}
	for _, zeros := range []int{0, 1, 3000} {
		log := slices.Concat(s.bytes()[:cut], make([]byte, zeros))
		if end := cut + min(zeros, s.left(cut)); zeros > 0 && bytes.HasPrefix(s.bytes(), log[:end]) {
			continue // what was cut off was zeros
		}
		rep := Verify(bytes.NewReader(log), Keys{Public: []ed25519.PublicKey{s.pub}})
		if rep.Sealed || rep.Records != whole || rep.VerifiedThrough != checkpoint || rep.Proven != uint64(checkpoint+1) {
			t.Fatalf("cut at %d, %d zeros: %v; want %d records, checkpoint %d", cut, zeros, rep, whole, checkpoint)
		}
		if checkpoint < 0 {
			wantProblem(t, rep, ProblemUnsigned, whole)
		} else if !errors.Is(rep.Err(), ErrUnsealed) {
			t.Fatalf("cut at %d, %d zeros: %v, want unsealed", cut, zeros, rep)
		}
	}
}

// left is how many bytes of the record at an offset are behind it.
func (s sample) left(cut int) int {
	edge := len(s.head)
	for _, r := range s.records {
		if edge += len(r); edge > cut {
			break
		}
	}
	return edge - cut
}

const crashDirEnv = "RECORD_TEST_CRASH_DIR"

// TestCrashChild is the process that TestKill kills. Without that, it does
// nothing and has nothing to check.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashDirEnv)
	if path == "" {
		return
	}
	key, err := LoadKey(filepath.Join(path, "key"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDir(DirConfig{
		Path: path, SigningKey: key, FlushInterval: time.Millisecond, CheckpointRecords: 50, FlushBytes: 1 << 10,
		Mode: crashMode(os.Getenv("RECORD_TEST_CRASH_MODE")),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Open(context.Background(), Header{Session: "s"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, "\nopen")
	for i := 0; ; i++ {
		if err := l.Append(Entry{Type: TypeOutput, Payload: make([]byte, 10+i%500)}); err != nil {
			t.Fatal(err)
		}
		if d.cfg.Mode == Durable {
			fmt.Fprintln(os.Stdout, "acked", i+1)
		}
	}
}

func crashMode(s string) Mode {
	if s == Durable.String() {
		return Durable
	}
	return Buffered
}

// A killed process leaves a log that is proven up to its last checkpoint, and in
// Durable mode one with every entry that Append took.
func TestKill(t *testing.T) {
	for _, mode := range []Mode{Buffered, Durable} {
		for i := range 6 {
			t.Run(fmt.Sprintf("%v/%d", mode, i), func(t *testing.T) {
				t.Parallel()
				killOnce(t, mode, time.Duration(i*i)*time.Millisecond)
			})
		}
	}
}

func killOnce(t *testing.T, mode Mode, after time.Duration) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := GenerateKey(filepath.Join(path, "key"))
	if err != nil {
		t.Fatal(err)
	}
	acked := runUntilKilled(t, path, mode, after)
	pub := key.Public().(ed25519.PublicKey)
	rep := VerifyFile(filepath.Join(path, FileName("s")), Keys{Public: []ed25519.PublicKey{pub}, Session: "s"})
	if rep.Problem != nil || rep.Sealed || rep.VerifiedThrough < 1 || !errors.Is(rep.Err(), ErrUnsealed) {
		t.Fatalf("%v", rep)
	}
	if rep.Records < acked {
		t.Errorf("%d entries were acknowledged, %d records: %v", acked, rep.Records, rep)
	}
}

// runUntilKilled returns how many entries the child said were durable.
func runUntilKilled(t *testing.T, path string, mode Mode, after time.Duration) (acked uint64) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	child.Env = append(os.Environ(), crashDirEnv+"="+path, "RECORD_TEST_CRASH_MODE="+mode.String())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "open" {
			kill = time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
		if n, ok := strings.CutPrefix(lines.Text(), "acked "); ok {
			acked, _ = strconv.ParseUint(n, 10, 64)
		}
	}
	_ = child.Wait()
	if kill == nil {
		t.Fatal("the child did not open its log")
	}
	kill.Stop()
	return acked
}
