package credsource_test

import (
	"context"
	"fmt"
	"time"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

// broker is a source of one's own: it makes an account per principal, and takes
// it away when the lease ends. Its test calls credsourcetest.Run.
type broker struct{ accounts map[string]bool }

var _ credsource.Source = (*broker)(nil)

func (b *broker) Credential(_ context.Context, req credsource.Request) (*credsource.Credential, error) {
	if req.Identity == nil {
		return nil, fmt.Errorf("broker: %w", credsource.ErrNotFound)
	}
	account := "tmp_" + req.Identity.Subject
	b.accounts[account] = true
	c := &credsource.Credential{
		Username: account,
		Password: secret.New("generated"),
		Expires:  time.Now().Add(15 * time.Minute),
	}
	return c.WithRelease(func(context.Context) error {
		delete(b.accounts, account)
		return nil
	}), nil
}

func ExampleSource() {
	b := &broker{accounts: map[string]bool{}}
	ctx := context.Background()
	c, err := b.Credential(ctx, credsource.Request{Identity: &policy.Identity{Subject: "alice"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Username, c.Password, len(b.accounts))
	fmt.Println(c.Release(ctx), len(b.accounts))
	// Output:
	// tmp_alice [redacted] 1
	// <nil> 0
}

func ExampleNewRotating() {
	b := &broker{accounts: map[string]bool{}}
	source, err := credsource.NewRotating(credsource.RotatingConfig{Source: b, RefreshBefore: 2 * time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	req := credsource.Request{Identity: &policy.Identity{Subject: "alice"}}
	for range 3 { // three sessions, one account
		c, err := source.Credential(ctx, req)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(c, len(b.accounts), c.Release(ctx))
	}
	fmt.Println(source.Close(ctx), len(b.accounts))
	// Output:
	// credential(tmp_alice) 1 <nil>
	// credential(tmp_alice) 1 <nil>
	// credential(tmp_alice) 1 <nil>
	// <nil> 0
}
