package opa

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// maxFileSize bounds each file of a policy, unpacked.
const maxFileSize = 16 << 20

// A source is a policy as it was read: parsed modules and data documents.
type source struct {
	modules  map[string]*ast.Module
	data     map[string]any
	revision string
}

// load reads the policy from wherever cfg says.
func (cfg *Config) load(ctx context.Context, caps *ast.Capabilities) (*source, error) {
	loader, closer, err := cfg.open(ctx)
	if err != nil {
		return nil, err
	}
	if closer != nil {
		defer closer.Close() //nolint:errcheck // it was only read
	}
	// Mounted ConfigMaps are made of symbolic links.
	loader = loader.WithFilter(skipFile).WithFollowSymlinks(true).WithSizeLimitBytes(maxFileSize)
	reader := bundle.NewCustomReader(loader).
		WithSizeLimitBytes(maxFileSize).
		WithCapabilities(caps).
		WithRegoVersion(ast.RegoV1).
		WithSkipBundleVerification(cfg.Verification == nil).
		WithBundleVerificationConfig(cfg.Verification)
	b, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("opa: read policy: %w", err)
	}
	return newSource(&b, cfg)
}

func (cfg *Config) open(ctx context.Context) (bundle.DirectoryLoader, io.Closer, error) {
	if cfg.Bundle == nil {
		files := cfg.FS
		if cfg.Dir != "" {
			files = os.DirFS(cfg.Dir)
		}
		if err := requireDirectory(files); err != nil {
			return nil, nil, fmt.Errorf("opa: read policy: %w", err)
		}
		return bundle.NewFSLoaderWithRoot(files, "."), nil, nil
	}
	r, err := cfg.Bundle(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("opa: open bundle: %w", err)
	}
	if r == nil {
		return nil, nil, errors.New("opa: open bundle: no reader")
	}
	return bundle.NewTarballLoader(r), r, nil
}

func requireDirectory(files fs.FS) error {
	info, err := fs.Stat(files, ".")
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	return nil
}

// skipFile leaves out what isn't part of the policy: tests, and files and
// directories whose name starts with a dot except for a bundle's own.
func skipFile(file string, _ fs.FileInfo, _ int) bool {
	name := path.Base(strings.ReplaceAll(file, "\\", "/"))
	switch name {
	case ".", "/", ".manifest", ".signatures.json":
		return false
	}
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_test.rego")
}

func newSource(b *bundle.Bundle, cfg *Config) (*source, error) {
	if b.Type() != bundle.SnapshotBundleType {
		return nil, errors.New("opa: delta bundles are not supported")
	}
	s := &source{modules: make(map[string]*ast.Module, len(b.Modules)), data: b.Data}
	sum := sha256.New()
	for _, m := range b.Modules {
		if m.Parsed == nil || m.Parsed.RegoVersionSpan() != ast.RegoVersionSpanOf(ast.RegoV1) {
			return nil, fmt.Errorf("opa: %s: only Rego v1 is supported", m.Path)
		}
		if s.modules[m.Path] != nil {
			return nil, fmt.Errorf("opa: two modules at %s", m.Path)
		}
		s.modules[m.Path] = m.Parsed
	}
	for _, name := range sortedKeys(s.modules) {
		for _, m := range b.Modules {
			if m.Path == name {
				sum.Write(appendText(appendText(nil, m.Path), string(m.Raw)))
			}
		}
	}
	return s, s.seal(sum.Sum(nil), cfg)
}

// seal computes the revision: of every source, the data, the contract and what
// the host lets policies do.
func (s *source) seal(modules []byte, cfg *Config) error {
	schema, err := Schema()
	if err != nil {
		return err
	}
	doc, err := json.Marshal([]any{ContractVersion, schema, modules, s.data, sortedCopy(cfg.AllowBuiltins), sortedCopy(cfg.AllowHosts)})
	if err != nil {
		return fmt.Errorf("opa: data documents: %w", err)
	}
	sum := sha256.Sum256(doc)
	s.revision = hex.EncodeToString(sum[:16])
	return nil
}

func sortedCopy(list []string) []string { return slices.Sorted(slices.Values(list)) }
