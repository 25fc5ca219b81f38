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
// sent, what analysis found out about it, and the revision of the policy that
// asked. It fails for an input without identity, target or command.
//
// The facts are in it because one text can stand for several actions: EXECUTE and
// FETCH do what the name means in the session. The order of effects and columns
// counts. Whatever neither the text nor the facts tell is not bound, such as the
// constants of a statement that was prepared under the name.
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
	d.command(in.Command)
	d.text(revision)
	return hex.EncodeToString(d.Sum(nil)), nil
}

// digester hashes texts and counts. Writing to a hash never fails.
type digester struct{ hash.Hash }

func (d digester) count(n int) {
	_, _ = d.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) //nolint:gosec // a length
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

func (d digester) texts(list []string) {
	d.count(len(list))
	for _, s := range list {
		d.text(s)
	}
}

func (d digester) command(c *Command) {
	d.text(c.Action)
	d.text(c.Text)
	d.count(len(c.Params))
	for _, p := range c.Params {
		d.text(p.Value)
		d.flag(p.Null)
		d.flag(p.Binary)
	}
	d.flag(c.Facts != nil)
	if c.Facts != nil {
		d.facts(c.Facts)
	}
}

func (d digester) facts(f *Facts) {
	d.count(len(f.Effects))
	for i := range f.Effects {
		e := &f.Effects[i]
		d.text(e.Verb)
		d.text(e.Kind)
		d.text(e.Name)
		d.texts(e.Columns)
		d.texts(e.Filtered)
	}
	d.texts(f.Opaque)
	d.flag(f.SQL != nil)
	if f.SQL == nil {
		return
	}
	d.text(f.SQL.SearchPath)
	d.count(len(f.SQL.Statements))
	for i := range f.SQL.Statements {
		s := &f.SQL.Statements[i]
		d.text(s.Tag)
		d.flag(s.Where)
		d.texts(s.Functions)
		d.count(len(s.Calls))
		for _, c := range s.Calls {
			d.text(c.Name)
			d.text(c.Volatility)
			d.flag(c.SecurityDefiner)
			d.flag(c.Builtin)
		}
	}
}
