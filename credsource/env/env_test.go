package env_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/credsource/credsourcetest"
	"github.com/headgate/gateway/credsource/env"
)

const canary = "can4ry<&\"+/env"

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]env.Config{
		"password": {UserVar: "HG_TEST_USER", PasswordVar: "HG_TEST_SECRET"},
		"token":    {TokenVar: "HG_TEST_SECRET"},
		"key":      {Username: "app", PrivateKeyVar: "HG_TEST_SECRET"},
	} {
		t.Run(name, func(t *testing.T) {
			credsourcetest.Run(t, credsourcetest.Harness{New: func(t *testing.T) credsourcetest.Fixture {
				t.Helper()
				t.Setenv("HG_TEST_USER", "app")
				t.Setenv("HG_TEST_SECRET", canary)
				return credsourcetest.Fixture{
					Source: newSource(t, cfg),
					Canary: canary,
					Rotate: func(t *testing.T) string {
						t.Helper()
						t.Setenv("HG_TEST_SECRET", "rotated-canary")
						return "rotated-canary"
					},
					Break: func(t *testing.T) { t.Helper(); unset(t, "HG_TEST_SECRET") },
				}
			}})
		})
	}
}

func newSource(t *testing.T, cfg env.Config) *env.Source {
	t.Helper()
	source, err := env.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func unset(t *testing.T, name string) {
	t.Helper()
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]env.Config{
		"nothing":   {},
		"user only": {UserVar: "HG_TEST_USER"},
		"two users": {Username: "app", UserVar: "HG_TEST_USER", TokenVar: "HG_TEST_SECRET"},
	} {
		if s, err := env.New(cfg); err == nil || s != nil {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
}

func TestMissingVariablesAreNamed(t *testing.T) {
	t.Setenv("HG_TEST_USER", canary)
	t.Setenv("HG_TEST_EMPTY", "")
	t.Setenv("HG_TEST_UNSET", "") // restored after the test
	unset(t, "HG_TEST_UNSET")
	source := newSource(t, env.Config{UserVar: "HG_TEST_USER", PasswordVar: "HG_TEST_EMPTY", TokenVar: "HG_TEST_UNSET"})
	c, err := source.Credential(t.Context(), credsource.Request{})
	if c != nil || !errors.Is(err, credsource.ErrNotFound) {
		t.Fatalf("got %v, %v", c, err)
	}
	for _, want := range []string{"HG_TEST_EMPTY is empty", "HG_TEST_UNSET is not set"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), canary) {
		t.Error("the error shows a value")
	}
}

func TestZeroSourceHasNothing(t *testing.T) {
	if _, err := new(env.Source).Credential(t.Context(), credsource.Request{}); !errors.Is(err, credsource.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
