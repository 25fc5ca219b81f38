package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/headgate/gateway/policy/secret"
)

// Keys is what a verifier knows. The zero Keys verifies nothing: without a
// public key every log is refused.
type Keys struct {
	// Public are the keys of which one must have signed the log.
	Public []ed25519.PublicKey
	// Root is the root key of the recorder's tags. Empty means that tags of keyed
	// logs are not checked; set, it also refuses logs that are not keyed.
	Root secret.Value
	// Session is whose log it should be; "" accepts any.
	Session string
}

// VerifyFile verifies the log at path, which must bear the name of its session.
func VerifyFile(path string, keys Keys) Report {
	f, err := os.Open(path)
	if err != nil {
		return Report{VerifiedThrough: -1, TaggedThrough: -1, Problem: &Problem{Kind: ProblemRead, Err: err}}
	}
	defer f.Close() //nolint:errcheck // read only
	rep := Verify(f, keys)
	if rep.VerifiedThrough >= 0 && rep.Problem == nil && FileName(rep.Header.Session) != filepath.Base(path) {
		rep.Problem = &Problem{Kind: ProblemSession, Detail: "log of " + rep.Header.Session + " in " + filepath.Base(path)}
	}
	return rep
}

// Verify reads a log to its end or to its first problem and says how far it can
// be trusted. It runs in memory bounded by MaxPayload, whatever it is given.
func Verify(src io.Reader, keys Keys) Report {
	v := verifier{keys: keys, rep: Report{VerifiedThrough: -1, TaggedThrough: -1}}
	v.rep.Problem = v.run(src)
	proven := max(v.rep.VerifiedThrough, v.rep.TaggedThrough) + 1
	v.rep.Proven = min(uint64(proven), v.rep.Records) //nolint:gosec // from 0 on
	return v.rep
}

type verifier struct {
	keys   Keys
	pub    ed25519.PublicKey
	chain  *chain
	tagged bool // tags are checked
	r      *Reader
	rep    Report
}

func (v *verifier) run(src io.Reader) *Problem {
	r, p := newReader(src)
	if p != nil {
		return p
	}
	v.r = r
	if p := v.start(); p != nil {
		return p
	}
	for {
		rec, err := r.Next()
		if err != nil {
			return v.end(err)
		}
		if p := v.check(rec); p != nil {
			return p
		}
		v.rep.Records++
	}
}

// start finds the public key and starts the chain.
func (v *verifier) start() *Problem {
	head := v.r.head
	v.rep.FileID, v.rep.KeyID, v.rep.Keyed = head.file, head.keyID, head.keyed
	for _, pub := range v.keys.Public {
		if len(pub) == ed25519.PublicKeySize && KeyIDOf(pub) == head.keyID {
			v.pub = pub
		}
	}
	if v.pub == nil {
		return &Problem{Kind: ProblemKey, Detail: "no public key for " + head.keyID.String()}
	}
	root := v.keys.Root
	if !head.keyed {
		if !root.IsEmpty() {
			return &Problem{Kind: ProblemKey, Detail: "the log is not keyed"}
		}
		v.tagged = true
		v.chain = newChain(&v.r.rawHd, nil)
		return nil
	}
	var key [32]byte
	if !root.IsEmpty() {
		v.tagged, key = true, logKey([]byte(root.Reveal()), head)
	}
	v.chain = newChain(&v.r.rawHd, &key)
	return nil
}

// check follows the chain over one record.
func (v *verifier) check(rec Record) *Problem {
	body := v.r.signable()
	signed := rec.Type == TypeCheckpoint || rec.Type == TypeSeal
	if signed {
		if p := v.checkSignature(rec, body); p != nil {
			return p
		}
	}
	if p := v.checkTag(rec, body); p != nil {
		return p
	}
	if signed {
		v.rep.VerifiedThrough = int64(rec.Seq) //nolint:gosec // nobody writes 2^63 records
	}
	return v.take(rec)
}

func (v *verifier) checkSignature(rec Record, body []byte) *Problem {
	least := signatureSize
	if rec.Type == TypeSeal {
		least += sealFieldsSize
	}
	if len(rec.Payload) < least || (rec.Type == TypeCheckpoint && len(rec.Payload) != least) {
		return &Problem{Kind: ProblemMalformed, Seq: rec.Seq, Detail: "length of a " + rec.Type.String()}
	}
	at := len(body) - signatureSize
	if !ed25519.Verify(v.pub, v.chain.message(body[:at]), body[at:]) {
		return &Problem{Kind: ProblemSignature, Seq: rec.Seq}
	}
	return nil
}

// checkTag moves the chain. Where tags can't be computed, the one that stands in
// the log is taken: the next checkpoint signs it.
func (v *verifier) checkTag(rec Record, body []byte) *Problem {
	v.chain.add(body)
	if !v.tagged {
		copy(v.chain.tag(), v.r.tag())
		return nil
	}
	if !bytes.Equal(v.chain.tag(), v.r.tag()) {
		return &Problem{Kind: ProblemChain, Seq: rec.Seq}
	}
	if v.rep.Keyed {
		v.rep.TaggedThrough = int64(rec.Seq) //nolint:gosec // nobody writes 2^63 records
	}
	return nil
}

// take reads what the record says about the log itself.
func (v *verifier) take(rec Record) *Problem {
	switch {
	case (rec.Seq == 0) != (rec.Type == TypeHeader):
		return &Problem{Kind: ProblemMalformed, Seq: rec.Seq, Detail: "header not first"}
	case rec.Type == TypeHeader:
		return v.takeHeader(rec)
	case rec.Type == TypeLoss:
		var loss Loss
		if err := json.Unmarshal(rec.Payload, &loss); err != nil {
			return &Problem{Kind: ProblemMalformed, Seq: rec.Seq, Err: err}
		}
		v.rep.Lost += loss.Entries
		v.rep.Unsynced += loss.Unsynced
	case rec.Type == TypeSeal:
		if binary.BigEndian.Uint64(rec.Payload) != rec.Seq {
			return &Problem{Kind: ProblemMalformed, Seq: rec.Seq, Detail: "count of the seal"}
		}
		v.rep.Sealed = true
		v.rep.Reason = string(rec.Payload[sealFieldsSize : len(rec.Payload)-signatureSize])
	}
	v.rep.Last = rec.Time
	return nil
}

func (v *verifier) takeHeader(rec Record) *Problem {
	if err := json.Unmarshal(rec.Payload, &v.rep.Header); err != nil {
		return &Problem{Kind: ProblemMalformed, Err: err}
	}
	if s := v.keys.Session; s != "" && s != v.rep.Header.Session {
		return &Problem{Kind: ProblemSession, Detail: "log of " + v.rep.Header.Session}
	}
	return nil
}

// end judges how the log ends.
func (v *verifier) end(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		if p.Kind == ProblemTrailing {
			v.rep.Sealed = false
		}
		return p
	}
	v.rep.Torn = v.r.torn
	if v.rep.VerifiedThrough < 0 {
		return &Problem{Kind: ProblemUnsigned, Seq: v.rep.Records}
	}
	return nil
}
