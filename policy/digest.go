package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"slices"
)

// ActionDigest returns the hexadecimal SHA-256 of what an approval of in is
// bound to: the whole principal chain, the target, the command as it will be
// sent, and the revision of the policy that asked. It fails for an input without
// identity, target or command.
//
// Every text goes in as its exact bytes behind its length, and every list behind
// its count, so that no two different actions have the same encoding.
func ActionDigest(in *Input, revision string) (string, error) {
	if in == nil || in.Identity == nil || in.Target == nil || in.Command == nil {
		return "", errors.New("policy: digest of an incomplete input")
	}
	d := digester{sha256.New()}
	d.text("headgate action 1")
	principals := in.Identity.Principals()
	d.count(len(principals))
	for _, p := range principals {
		d.text(p.Subject)
		d.text(p.Issuer)
	}
	d.target(in.Target)
	d.text(in.Command.Action)
	d.text(in.Command.Text)
	d.count(len(in.Command.Params))
	for _, p := range in.Command.Params {
		d.text(p.Value)
		d.flag(p.Null)
		d.flag(p.Binary)
	}
	d.text(revision)
	return hex.EncodeToString(d.Sum(nil)), nil
}

// digester hashes texts and counts. Writing to a hash never fails.
type digester struct{ hash.Hash }

func (d digester) count(n int) {
	_, _ = d.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func (d digester) text(s string) {
	d.count(len(s))
	_, _ = d.Write([]byte(s))
}

func (d digester) flag(b bool) {
	if b {
		d.count(1)
	} else {
		d.count(0)
	}
}

func (d digester) target(t *Target) {
	d.text(t.Name)
	d.text(t.Protocol)
	names := make([]string, 0, len(t.Labels))
	for name := range t.Labels {
		names = append(names, name)
	}
	slices.Sort(names)
	d.count(len(names))
	for _, name := range names {
		d.text(name)
		d.text(t.Labels[name])
	}
}
