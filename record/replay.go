package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// ReplayOptions says how Replay shows a log. The zero value shows every record.
type ReplayOptions struct {
	// Render returns the text of an entry, which may have several lines, or ""
	// for the default: JSON on one line, bytes as text. It must not keep the
	// payload. What it returns is sanitised like everything else. Nil means the
	// default for all.
	Render func(Entry) string
	// Keep chooses what is shown; nil means everything.
	Keep func(Entry) bool
	// MaxBytes bounds how much of a payload the default shows; zero means 512.
	MaxBytes int
}

const defaultReplayBytes = 512

// Replay writes a log as text, one record per line: the time since the log was
// opened, the type, and the content with everything unprintable escaped. Further
// lines of a rendered entry are indented, so that no content can pass for a
// record. It stops at the first problem and returns it; nil means that the log
// ends with a seal and ErrUnsealed that it does not. It proves nothing: Verify
// first.
func Replay(w io.Writer, src io.Reader, o ReplayOptions) error {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultReplayBytes
	}
	r, err := NewReader(src)
	if err != nil {
		return err
	}
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if o.Keep != nil && !o.Keep(rec.Entry) {
			continue
		}
		if _, err := io.WriteString(w, o.line(rec)); err != nil {
			return fmt.Errorf("record: replay: %w", err)
		}
	}
}

func (o ReplayOptions) line(rec Record) string {
	name := rec.Type.String()
	if rec.Stream != 0 {
		name = fmt.Sprintf("%s/%d", name, rec.Stream)
	}
	return fmt.Sprintf("%s %s %s\n", clock(rec.Since), name, o.text(rec.Entry))
}

func (o ReplayOptions) text(e Entry) string {
	if o.Render != nil {
		if s := o.Render(e); s != "" {
			return indent(s)
		}
	}
	switch e.Type {
	case TypeOutput, TypeInput:
		return fmt.Sprintf("%d bytes: %s", len(e.Payload), o.cut(e.Payload))
	case TypeCheckpoint:
		return "signed"
	case TypeSeal:
		return o.cut(sealReason(e.Payload))
	default:
		return o.json(e.Payload)
	}
}

func (o ReplayOptions) json(payload []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, payload); err != nil {
		return o.cut(payload)
	}
	return o.cut(b.Bytes())
}

// cut sanitises the first MaxBytes of b, without dividing a character.
func (o ReplayOptions) cut(b []byte) string {
	if len(b) <= o.MaxBytes {
		return Sanitize(string(b))
	}
	n := o.MaxBytes
	for n > o.MaxBytes-utf8.UTFMax && n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return Sanitize(string(b[:n])) + fmt.Sprintf(" … %d bytes more", len(b)-n)
}

func sealReason(payload []byte) []byte {
	if len(payload) < sealFieldsSize+signatureSize {
		return nil
	}
	return payload[sealFieldsSize : len(payload)-signatureSize]
}

func indent(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = Sanitize(l)
	}
	return strings.Join(lines, "\n    | ")
}

func clock(d time.Duration) string {
	d = max(d, 0)
	return fmt.Sprintf("%02d:%02d:%02d.%03d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d.Milliseconds()%1000)
}
