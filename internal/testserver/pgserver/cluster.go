//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A clusterKey is what a database cluster's files depend on.
type clusterKey struct {
	bin, user, password string
	walSegmentMB        int
}

// cluster makes a data directory in dir: a copy of one that initdb made once for
// all servers of the same key. Callers hold mu.
func (w *Workspace) cluster(ctx context.Context, key clusterKey, dir string) error {
	made, ok := w.clusters[key]
	if !ok {
		var err error
		if made, err = w.initdb(ctx, key); err != nil {
			return err
		}
		w.clusters[key] = made
	}
	return w.run(ctx, "cp", "-Rp", made, filepath.Join(dir, "data"))
}

// restore makes the data directory of a standby in dir.
func (w *Workspace) restore(ctx context.Context, cfg *Config, dir string) error {
	data := filepath.Join(dir, "data")
	if err := exec.CommandContext(ctx, "cp", "-R", cfg.Backup, data).Run(); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return errors.Join(err, w.give(path))
	})
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	cfg.Settings = append(slices.Clone(cfg.Settings), "primary_conninfo="+cfg.PrimaryConninfo)
	return w.write(filepath.Join(data, "standby.signal"), nil)
}

func (w *Workspace) initdb(ctx context.Context, key clusterKey) (string, error) {
	dir, err := w.subdirectory()
	if err != nil {
		return "", err
	}
	pwfile := filepath.Join(dir, "password")
	if err := w.write(pwfile, []byte(key.password+"\n")); err != nil {
		return "", err
	}
	made := filepath.Join(dir, "made") // not "data": the janitor looks for servers there
	err = w.run(ctx, filepath.Join(key.bin, "initdb"), "-D", made, "-U", key.user, "--pwfile", pwfile,
		"-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize", strconv.Itoa(key.walSegmentMB))
	if err != nil {
		return "", err
	}
	return made, os.Remove(pwfile)
}

// write makes a file that only the unprivileged user can read.
func (w *Workspace) write(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	return w.give(path)
}

// defaults are settings for servers whose data may be lost with the machine.
func defaults() []string {
	return []string{
		"listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
		"autovacuum=off", "jit=off", "lc_messages=C", "log_timezone=UTC", "timezone=UTC",
	}
}

// configure writes what cfg asks for into the data directory under dir.
func (w *Workspace) configure(cfg Config, dir string) error {
	data := filepath.Join(dir, "data")
	settings := append(defaults(), "unix_socket_directories="+dir)
	if cfg.TLS != nil {
		for name, content := range map[string][]byte{
			"server.crt": cfg.TLS.Certificate, "server.key": cfg.TLS.Key, "client-ca.crt": cfg.TLS.ClientCA,
		} {
			if err := w.write(filepath.Join(data, name), content); err != nil {
				return err
			}
		}
		settings = append(settings, "ssl=on", "ssl_ca_file=client-ca.crt")
	}
	text, err := settingsFile(append(settings, cfg.Settings...))
	if err != nil {
		return err
	}
	if err := w.write(filepath.Join(data, "postgresql.auto.conf"), text); err != nil {
		return err
	}
	return w.write(filepath.Join(data, "pg_hba.conf"), []byte(strings.Join(cfg.hba(), "\n")+"\n"))
}

// settingsFile writes name=value pairs in the syntax of postgresql.conf. Later
// pairs win.
func settingsFile(settings []string) ([]byte, error) {
	var b strings.Builder
	for _, s := range settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" || strings.ContainsAny(s, "\n\x00") {
			return nil, fmt.Errorf("pgserver: setting %q is not name=value", s)
		}
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(value))
	}
	return []byte(b.String()), nil
}
