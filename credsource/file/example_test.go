package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/file"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "credentials")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "db.json")
	if err := os.WriteFile(path, []byte(`{"username":"app","password":"correct horse"}`), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	source, err := file.New(file.Config{Path: path, Format: file.FormatJSON})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := source.Credential(context.Background(), credsource.Request{})
	fmt.Println(c, c.Password, err)
	// Output: credential(app) [redacted] <nil>
}
