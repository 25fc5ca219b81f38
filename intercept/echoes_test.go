package intercept

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy/secret"
)

func TestEchoesAreShared(t *testing.T) {
	cred := func(user, password string) []*credsource.Credential {
		return []*credsource.Credential{{Username: user, Password: secret.New(password)}}
	}
	var x Echoes
	first := x.of(cred("app", "correct-horse"))
	if x.of(cred("app", "correct-horse")) != first {
		t.Error("one credential has two Echoes")
	}
	for _, other := range [][]*credsource.Credential{
		cred("ap", "pcorrect-horse"), cred("other", "correct-horse"), {{Username: "app", Token: secret.New("correct-horse")}},
		append(cred("app", "correct-horse"), cred("app", "battery-staple")...),
	} {
		if x.of(other) == first {
			t.Errorf("%v has the Echo of another credential", other)
		}
	}
	if e := (*Echoes)(nil).of(cred("app", "correct-horse")); !e.Contains([]byte("a correct-horse")) || !first.Contains([]byte("a correct-horse")) {
		t.Error("not found")
	}
	kept := x.of(cred("app", "kept-password"))
	for i := range 3 * maxEchoes {
		if !x.of(cred("app", fmt.Sprint("password-", i))).Contains(fmt.Appendf(nil, "password-%d", i)) {
			t.Fatal("not found")
		}
	}
	if len(x.known) > maxEchoes {
		t.Errorf("%d are remembered", len(x.known))
	}
	runtime.KeepAlive(kept)
}
