//go:build unix

package main

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/headgate/gateway/internal/testserver/checkout"
	"github.com/headgate/gateway/internal/testserver/pgserver"
)

// rego is the policy that the gateway runs: a few rules over effects and a
// column mask.
//
//go:embed policy/bench.rego
var rego []byte

// The routes of a gateway. All lead to the same server.
const (
	routePlain  = "plain"
	routeTLS    = "tls"    // on both legs
	routeSCRAM  = "scram"  // logs in to the server with SCRAM
	routeDetect = "detect" // the policy searches every text for personal data
)

// A gatewayProcess is a running gateway and the paths through it, by route.
type gatewayProcess struct {
	child  *child
	routes map[string]*target
}

// startGateway runs examples/standalone in front of the server, with policy,
// column masks and buffered recording on.
func (b *bench) startGateway(ctx context.Context) (*gatewayProcess, error) {
	if b.program == "" {
		if err := b.buildStandalone(ctx); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(b.dir, "gateway-")
	if err != nil {
		return nil, err
	}
	g := &gatewayProcess{routes: map[string]*target{}}
	for _, route := range []string{routePlain, routeTLS, routeSCRAM, routeDetect} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		g.routes[route] = &target{
			name: "gateway", host: pgserver.Host, port: port, user: "agent", password: b.server.password, db: b.server.db,
			tls: route == routeTLS,
		}
	}
	config, err := b.writeGatewayConfig(dir, g)
	if err != nil {
		return nil, err
	}
	if g.child, err = startChild(exec.CommandContext(ctx, b.program, "-config", config), filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	b.gateways = append(b.gateways, g)
	for _, t := range g.routes {
		t.child = g.child
		if err := awaitPort(ctx, t); err != nil {
			return nil, fmt.Errorf("%w: %s", err, g.child.logged())
		}
	}
	return g, nil
}

func (b *bench) buildStandalone(ctx context.Context) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	program := filepath.Join(b.dir, "standalone")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./standalone")
	cmd.Dir = filepath.Join(root, "examples")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build of examples/standalone: %w\n%s", err, out)
	}
	b.program = program
	return nil
}

// gatewayConfig is the standalone gateway's configuration: client token, policy
// directory, record directory, signing key. A route follows for each path.
const gatewayConfig = `identity:
  static:
    - token: %[1]q
      subject: bench
policy:
  dir: %[2]q
record:
  dir: %[3]q
  mode: buffered
  signing_key: %[4]q
  create_signing_key: true
log: {level: warn, format: text}
routes:
`

// routeConfig is one route: name, listen address, upstream address, database,
// user, password.
const routeConfig = `  - name: %[1]q
    listen: %[2]q
    upstream: %[3]q
    database: %[4]q
    credential:
      source: static
      username: %[5]q
      password: %[6]q
`

// plainConfig and tlsConfig end a route. tlsConfig has the gateway's certificate
// and key, and the server's CA.
const (
	plainConfig = `    upstream_tls:
      mode: disable
`
	tlsConfig = `    tls:
      cert: %[1]q
      key: %[2]q
    upstream_tls:
      ca: %[1]q
`
)

// writeGatewayConfig writes the configuration and the policy that it names to dir.
func (b *bench) writeGatewayConfig(dir string, g *gatewayProcess) (string, error) {
	if err := spread(dir); err != nil {
		return "", err
	}
	policy, records := filepath.Join(dir, "policy"), filepath.Join(dir, "records")
	for _, sub := range []string{policy, records} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(policy, "bench.rego"), rego, 0o600); err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, gatewayConfig, b.server.password, policy, records, filepath.Join(dir, "signing.pem"))
	for _, route := range slices.Sorted(maps.Keys(g.routes)) {
		t, user := g.routes[route], benchUser
		if route == routeSCRAM {
			user = scramUser
		}
		fmt.Fprintf(&text, routeConfig, route, net.JoinHostPort(t.host, t.port), net.JoinHostPort(b.server.host, b.server.port),
			t.db, user, b.server.password)
		if t.tls {
			fmt.Fprintf(&text, tlsConfig, b.certFile(), b.keyFile())
		} else {
			text.WriteString(plainConfig)
		}
	}
	path := filepath.Join(dir, "gateway.yaml")
	return path, os.WriteFile(path, []byte(text.String()), 0o600)
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
