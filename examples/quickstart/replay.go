package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/headgate/gateway/record"
)

// replay verifies the agent's recording and shows it.
func (s *stage) replay(ctx context.Context, t *teller) {
	t.heading("Its session was recorded, and the record can be proven")
	path, data, err := s.recorded(ctx)
	if err != nil {
		t.checkf(false, "%v", err)
		return
	}
	keys := record.Keys{Public: []ed25519.PublicKey{s.key}}
	report := record.Verify(bytes.NewReader(data), keys)
	t.linef("file", "%s", path)
	name := "verified"
	for line := range strings.Lines(report.String()) {
		t.linef(name, "%s", strings.TrimSuffix(line, "\n"))
		name = ""
	}
	t.checkf(report.Err() == nil, "the recording is not good: %v", report.Err())
	forged := bytes.Clone(data)
	forged[len(forged)/2] ^= 1
	problem := record.Verify(bytes.NewReader(forged), keys).Err()
	t.linef("forged", "with one bit flipped: %v", problem)
	t.checkf(problem != nil, "a flipped bit was not noticed")
	t.checkf(!bytes.Contains(data, []byte(s.database.password)), "the database's password is in the recording")
	t.checkf(!bytes.Contains(data, []byte("ada@lovelace.example")), "what was masked is in the recording")
	var text strings.Builder
	err = record.Replay(&text, bytes.NewReader(data), record.ReplayOptions{MaxBytes: 400, Keep: func(e record.Entry) bool {
		return e.Type == record.TypeIdentity || e.Type == record.TypeCommand || e.Type == record.TypeApproval || e.Type == record.TypeResult
	}})
	t.checkf(err == nil, "replay: %v", err)
	t.checkf(strings.Contains(text.String(), "DROP TABLE orders") && strings.Contains(text.String(), "granted"), "the replay lacks a step")
	t.linef("replay", "")
	t.block(text.String())
}

// recorded returns the agent's recording once it is sealed, which happens when
// the gateway has noticed that the agent is gone.
func (s *stage) recorded(ctx context.Context) (string, []byte, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		paths, err := filepath.Glob(filepath.Join(s.recording, "sessions", "*"+record.Extension))
		if err != nil {
			return "", nil, err
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", nil, err
			}
			if s.isAgents(data) {
				return path, data, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", nil, fmt.Errorf("the recording was not sealed: %w", ctx.Err())
		}
	}
}

// isAgents reports whether data is a sealed log of a session that had an
// identity.
func (s *stage) isAgents(data []byte) bool {
	reader, err := record.NewReader(bytes.NewReader(data))
	if err != nil {
		return false
	}
	known := false
	for {
		r, err := reader.Next()
		if err != nil {
			return known && err == io.EOF //nolint:errorlint // Next returns it as it is
		}
		known = known || r.Type == record.TypeIdentity
	}
}
