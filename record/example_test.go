package record_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/headgate/gateway/record"
)

func ExampleNewDir() {
	base, err := os.MkdirTemp("", "record")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(base)
	key, err := record.GenerateKey(filepath.Join(base, "signing-key.pem"))
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := record.NewDir(record.DirConfig{Path: filepath.Join(base, "logs"), SigningKey: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()
	log, err := dir.Open(context.Background(), record.Header{Session: "s1", Target: "orders", Protocol: "postgres"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := log.Append(record.Entry{Type: record.TypeCommand, Payload: []byte(`{"text":"SELECT 1"}`)}); err != nil {
		fmt.Println("not recorded, so not sent:", err)
	}
	if err := log.Close("client left"); err != nil {
		fmt.Println(err)
	}
	public := key.Public().(ed25519.PublicKey)
	report := record.VerifyFile(filepath.Join(base, "logs", record.FileName("s1")),
		record.Keys{Public: []ed25519.PublicKey{public}, Session: "s1"})
	fmt.Println(report.Err(), report.Sealed, report.Records, report.Reason)
	// Output: <nil> true 4 client left
}

func ExampleMemory() {
	var m record.Memory
	log, err := m.Open(context.Background(), record.Header{Session: "s1", Started: time.Unix(0, 0).UTC()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(log.Append(record.Entry{Type: record.TypeEvent, Payload: []byte(`{"n":1}`)}))
	m.Fail(errors.New("disk on fire"))
	fmt.Println(log.Append(record.Entry{Type: record.TypeEvent, Payload: []byte(`{"n":2}`)}))
	for _, e := range m.Entries("s1") {
		fmt.Println(e.Type, string(e.Payload))
	}
	// Output:
	// <nil>
	// disk on fire
	// header {"session":"s1","started":"1970-01-01T00:00:00Z","target":"","protocol":""}
	// event {"n":1}
}

func ExampleReplay() {
	base, err := os.MkdirTemp("", "record")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(base)
	key, err := record.GenerateKey(filepath.Join(base, "signing-key.pem"))
	if err != nil {
		fmt.Println(err)
		return
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dir, err := record.NewDir(record.DirConfig{
		Path: filepath.Join(base, "logs"), SigningKey: key, Now: func() time.Time { return start },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	log, err := dir.Open(context.Background(), record.Header{Session: "s1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = log.Append(record.Entry{Type: record.TypeOutput, Payload: []byte("done\x1b]0;owned\x07\n")})
	if err := errors.Join(log.Close("client left"), dir.Close()); err != nil {
		fmt.Println(err)
		return
	}
	f, err := os.Open(filepath.Join(base, "logs", record.FileName("s1")))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fmt.Println(record.Replay(os.Stdout, f, record.ReplayOptions{}))
	// Output:
	// 00:00:00.000 header {"session":"s1","started":"2026-01-02T03:04:05Z","target":"","protocol":""}
	// 00:00:00.000 checkpoint signed
	// 00:00:00.000 output 15 bytes: done\x1b]0;owned\x07\n
	// 00:00:00.000 seal client left
	// <nil>
}
