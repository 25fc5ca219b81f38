package record_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/headgate/gateway/policy/secret"
	"github.com/headgate/gateway/record"
)

func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  record.DirConfig
	}{
		{"buffered", record.DirConfig{}},
		{"keyed", record.DirConfig{RootKey: secret.FromBytes(make([]byte, 32))}},
		{"best-effort", record.DirConfig{Mode: record.BestEffort}},
		{"durable", record.DirConfig{Mode: record.Durable}},
	} {
		for _, size := range []int{100, 200, 1 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) { benchmarkAppend(b, c.cfg, size) })
		}
	}
}

func benchmarkAppend(b *testing.B, cfg record.DirConfig, size int) {
	b.Helper()
	_, cfg.SigningKey = newKey(b)
	cfg.Path = filepath.Join(b.TempDir(), "logs")
	d, err := record.NewDir(cfg)
	if err != nil {
		b.Fatal(err)
	}
	l, err := d.Open(context.Background(), record.Header{Session: "s"})
	if err != nil {
		b.Fatal(err)
	}
	e := record.Entry{Type: record.TypeOutput, Payload: make([]byte, size)}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Append(e); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkOpenClose(b *testing.B) {
	cfg := record.DirConfig{Path: filepath.Join(b.TempDir(), "logs")}
	_, cfg.SigningKey = newKey(b)
	d, err := record.NewDir(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		l, err := d.Open(context.Background(), record.Header{Session: fmt.Sprintf("s%d", i)})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close("done"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	pub, key := newKey(b)
	cfg := record.DirConfig{Path: filepath.Join(b.TempDir(), "logs"), SigningKey: key}
	d, err := record.NewDir(cfg)
	if err != nil {
		b.Fatal(err)
	}
	l, err := d.Open(context.Background(), record.Header{Session: "s"})
	if err != nil {
		b.Fatal(err)
	}
	for range 10000 {
		if err := l.Append(record.Entry{Type: record.TypeOutput, Payload: make([]byte, 1024)}); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(cfg.Path, "s"+record.Extension)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		if err := record.VerifyFile(path, record.Keys{Public: []ed25519.PublicKey{pub}}).Err(); err != nil {
			b.Fatal(err)
		}
	}
}
