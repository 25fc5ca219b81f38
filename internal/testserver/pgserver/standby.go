//go:build unix

package pgserver

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// Standby starts a hot standby of s: a copy of its files that follows it by streaming
// replication, with the same users and settings. It returns when the copy takes
// connections; what s has committed meanwhile may come later. The copy is a server of
// its own that outlives s and may be promoted.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	return s.w.launchServer(ctx, s.cfg, s)
}

// copyOf makes a data directory in dir from the files of a running server, by
// pg_basebackup, and returns the settings that make it follow that server. A slot
// keeps what the copy has not read yet.
func (w *Workspace) copyOf(ctx context.Context, primary *Server, dir string) (settings []string, err error) {
	slot := "standby_" + filepath.Base(dir)
	source := primary.conninfo()
	err = w.run(ctx, filepath.Join(primary.bin, "pg_basebackup"), "-d", source, "-D", filepath.Join(dir, "data"),
		"-C", "-S", slot, "-X", "stream", "-c", "fast", "--no-sync")
	if err != nil {
		return nil, err
	}
	if err := w.write(filepath.Join(dir, "data", "standby.signal"), nil); err != nil {
		return nil, err
	}
	return []string{"primary_conninfo=" + source, "primary_slot_name=" + slot, "hot_standby=on"}, nil
}

// conninfo is a connection string of libpq for replication by the superuser.
func (s *Server) conninfo() string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	return fmt.Sprintf("host='%s' port=%d user='%s' password='%s'",
		quote.Replace(s.Dir), s.Port, quote.Replace(s.cfg.User), quote.Replace(s.cfg.Password))
}
