package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/gateway/record"
)

// address is where the program listens.
const address = "127.0.0.1:6432"

func TestRunServesUntilTheInterrupt(t *testing.T) {
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Log("another program listens on", address)
		if err := run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Error(err)
		}
		return
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("policy", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("policy", "gateway.rego"), []byte("package gateway\nallow if true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := record.GenerateKey("signing.pem"); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case err := <-ended:
			t.Fatal("it does not serve:", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunReportsWhatIsMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	err := run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "policy") || !strings.Contains(err.Error(), "signing.pem") {
		t.Error(err)
	}
}
