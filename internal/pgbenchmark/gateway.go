//go:build unix

package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/headgate/gateway/internal/testserver/checkout"
)

// rego is the policy that the gateway runs: a few rules over effects and a
// column mask.
//
//go:embed policy/bench.rego
var rego []byte

// startGateway builds examples/standalone and runs it in front of the server, with
// policy, column masks and buffered recording on.
func (b *bench) startGateway(ctx context.Context, direct *target) (*target, error) {
	program, err := b.buildStandalone(ctx)
	if err != nil {
		return nil, err
	}
	t := &target{name: "gateway", host: "127.0.0.1", user: "agent", password: rand.Text(), db: direct.db}
	if t.port, err = freePort(); err != nil {
		return nil, err
	}
	config, err := b.writeGatewayConfig(t, direct)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-config", config)
	if t.child, err = startChild(cmd, filepath.Join(b.dir, "gateway.log")); err != nil {
		return nil, err
	}
	if err := awaitPort(ctx, t); err != nil {
		return nil, fmt.Errorf("%w: %s", err, t.child.logged())
	}
	return t, nil
}

func (b *bench) buildStandalone(ctx context.Context) (string, error) {
	root, err := checkout.Root()
	if err != nil {
		return "", err
	}
	program := filepath.Join(b.dir, "standalone")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./standalone")
	cmd.Dir = filepath.Join(root, "examples")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build of examples/standalone: %w\n%s", err, out)
	}
	return program, nil
}

// gatewayConfig is the standalone gateway's configuration: client token, policy
// directory, record directory, listen address, upstream address, database, user,
// password and signing key.
const gatewayConfig = `identity:
  static:
    - token: %[1]q
      subject: bench
policy:
  dir: %[2]q
record:
  dir: %[3]q
  mode: buffered
  signing_key: %[9]q
  create_signing_key: true
log: {level: warn, format: text}
routes:
  - name: bench
    listen: %[4]q
    upstream: %[5]q
    upstream_tls:
      mode: disable
    database: %[6]q
    credential:
      source: static
      username: %[7]q
      password: %[8]q
`

// writeGatewayConfig writes the configuration and the policy that it names.
func (b *bench) writeGatewayConfig(t, direct *target) (string, error) {
	policy, records := filepath.Join(b.dir, "policy"), filepath.Join(b.dir, "records")
	for _, dir := range []string{policy, records} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(policy, "bench.rego"), rego, 0o600); err != nil {
		return "", err
	}
	text := fmt.Sprintf(gatewayConfig, t.password, policy, records, net.JoinHostPort(t.host, t.port),
		net.JoinHostPort(direct.host, direct.port), direct.db, direct.user, direct.password,
		filepath.Join(b.dir, "signing.pem"))
	path := filepath.Join(b.dir, "gateway.yaml")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", err
	}
	return port, l.Close()
}

// awaitPort returns when t's child takes connections.
func awaitPort(ctx context.Context, t *target) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(t.host, t.port))
		if err == nil {
			return c.Close()
		}
		select {
		case <-t.child.done:
			return fmt.Errorf("%s ended", t.name)
		case <-ctx.Done():
			return fmt.Errorf("%s takes no connections: %w", t.name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
