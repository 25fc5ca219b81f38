package opa

import (
	"crypto/sha256"
	"reflect"
	"strings"
	"sync"

	"github.com/headgate/gateway/policy"
)

// The bounds of what is remembered of one command.
const (
	maxKeyText      = 4 << 10  // longer texts are found by hash only
	maxFactsSize    = 32 << 10 // larger facts are found by hash only, not pinned
	maxDecisionSize = 16 << 10 // larger decisions are not kept
	maxPooledBytes  = 64 << 10
)

// A memory holds decisions of a policy that answers equal inputs equally. It has
// two stores. The fast one is keyed by the very values that a session hands in
// again and again, which are immutable and, being held by the key, can't be
// reused for others. The shared one is keyed by a hash of all that the policy
// can read, so that sessions of equal identities share their decisions.
type memory struct {
	all   *plan // what the policy reads
	extra *plan // what of it no field of quickKey covers; nil for nothing

	identity, target, facts, text bool // what of quickKey the policy reads

	quick   *cache[quickKey]
	shared  *cache[digest]
	buffers sync.Pool // of *[]byte
}

type digest = [sha256.Size]byte

// A quickKey is an input by reference. Session and Input themselves are not in
// it: a guard uses them again for its next command.
type quickKey struct {
	identity *policy.Identity
	target   *policy.Target
	facts    *policy.Facts
	action   string
	text     string
	extra    digest
}

// An address is where an input's decision belongs.
type address struct {
	quick   quickKey
	noQuick bool
	shared  digest
}

func newMemory(all *plan, entries int) *memory {
	m := &memory{all: all, quick: newCache[quickKey](entries), shared: newCache[digest](entries)}
	m.identity, m.target = all.step("identity") != nil, all.step("target") != nil
	extra := &plan{kind: kindStruct}
	for _, s := range all.steps {
		switch s.name {
		case "identity", "target", "approval": // keyed by pointer, or not covered
			continue
		case "command":
			s.plan = m.commandExtra(s.plan)
			if len(s.plan.steps) == 0 {
				continue
			}
		}
		extra.steps = append(extra.steps, s)
	}
	if len(extra.steps) > 0 {
		m.extra = extra
	}
	return m
}

// commandExtra returns what the policy reads of a command beyond its action, its
// text and its facts.
func (m *memory) commandExtra(command *plan) *plan {
	extra := &plan{kind: kindStruct}
	for _, s := range command.steps {
		switch {
		case s.name == "action":
		case s.name == "text":
			m.text = true
		case s.typ == reflect.TypeFor[*policy.Facts]():
			m.facts = true
		default:
			extra.steps = append(extra.steps, s)
		}
	}
	return extra
}

// covers reports whether decisions on such inputs are remembered: those on
// complete ones that redeem no approval.
func covers(in *policy.Input) bool { return in.Command != nil && in.Approval == nil }

// find returns the decision on in, nil if there is none, and where it belongs.
func (m *memory) find(in *policy.Input) (*policy.Decision, address, error) {
	var at address
	if err := m.quickKey(&at, in); err != nil {
		return nil, at, err
	}
	if !at.noQuick {
		if d := m.quick.get(&at.quick); d != nil {
			return d, at, nil
		}
	}
	var err error
	if at.shared, err = m.digest(m.all, in); err != nil {
		return nil, at, err
	}
	d := m.shared.get(&at.shared)
	if d != nil {
		m.keepQuick(&at, d)
	}
	return d, at, nil
}

func (m *memory) quickKey(at *address, in *policy.Input) (err error) {
	k := &at.quick
	if m.identity {
		k.identity = in.Identity
	}
	if m.target {
		k.target = in.Target
	}
	if m.facts {
		k.facts = in.Command.Facts
	}
	k.action = in.Command.Action
	if m.text {
		k.text = in.Command.Text
		at.noQuick = len(k.text) > maxKeyText
	}
	if m.extra != nil && !at.noQuick {
		k.extra, err = m.digest(m.extra, in)
	}
	return err
}

func (m *memory) digest(p *plan, in *policy.Input) (digest, error) {
	buf, ok := m.buffers.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	defer m.buffers.Put(buf)
	doc, err := p.canonical((*buf)[:0], reflect.ValueOf(in).Elem())
	if err != nil {
		return digest{}, err
	}
	sum := sha256.Sum256(doc)
	if cap(doc) <= maxPooledBytes {
		*buf = doc
	}
	return sum, nil
}

// keep remembers d.
func (m *memory) keep(at *address, d *policy.Decision) {
	if decisionSize(d) > maxDecisionSize {
		return
	}
	own := *d
	m.shared.put(at.shared, &own)
	m.keepQuick(at, &own)
}

func (m *memory) keepQuick(at *address, d *policy.Decision) {
	if at.noQuick || factsSize(at.quick.facts) > maxFactsSize {
		return
	}
	k := at.quick
	k.action, k.text = strings.Clone(k.action), strings.Clone(k.text)
	m.quick.put(k, d)
}

// factsSize is about how many bytes a key that holds f keeps from being freed.
func factsSize(f *policy.Facts) int {
	if f == nil {
		return 0
	}
	const each = 64 // a string's or a struct's own size, roughly
	n := textsSize(f.Opaque)
	for i := range f.Effects {
		e := &f.Effects[i]
		n += each + len(e.Verb) + len(e.Kind) + len(e.Name) + textsSize(e.Columns) + textsSize(e.Filtered)
	}
	if f.SQL != nil {
		for i := range f.SQL.Statements {
			n += each + textsSize(f.SQL.Statements[i].Functions)
		}
	}
	return n
}

func textsSize(list []string) int {
	n := 0
	for _, s := range list {
		n += 16 + len(s)
	}
	return n
}

// decisionSize is about how many bytes of text d holds.
func decisionSize(d *policy.Decision) int {
	n := 0
	for _, r := range d.Reasons {
		n += len(r.Rule) + len(r.Message) + len(r.Hint)
		for _, a := range r.Approvers {
			n += len(a)
		}
	}
	for _, m := range d.Masks {
		n += len(m.Table) + len(m.Column) + len(m.Method)
	}
	for k, v := range d.Labels {
		n += len(k) + len(v)
	}
	return n
}
