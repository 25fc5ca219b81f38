package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/opa"
)

// witness is the policy, and remembers what it has decided last, so that the
// story can tell why.
type witness struct {
	*opa.Evaluator

	mu   sync.Mutex
	id   policy.Identity
	last policy.Decision
}

// Evaluate decides and takes note.
func (w *witness) Evaluate(ctx context.Context, in *policy.Input) (policy.Decision, error) {
	d, err := w.Evaluator.Evaluate(ctx, in)
	w.note(in, d)
	return d, err
}

// Remembered does the same for decisions that have been made before.
func (w *witness) Remembered(in *policy.Input) (policy.Decision, bool) {
	d, ok := w.Evaluator.Remembered(in)
	if ok {
		w.note(in, d)
	}
	return d, ok
}

func (w *witness) note(in *policy.Input, d policy.Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = d
	if in.Identity != nil {
		w.id = *in.Identity
	}
}

// decision says what was decided last, and why.
func (w *witness) decision() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.last.Outcome.String()
	if len(w.last.Reasons) > 0 {
		text += ": " + w.last.Reasons[0].Rule + ", " + w.last.Reasons[0].Message
	}
	if len(w.last.Masks) == 0 {
		return text
	}
	masks := make([]string, len(w.last.Masks))
	for i, m := range w.last.Masks {
		masks[i] = fmt.Sprintf("%s.%s (%s)", m.Table, m.Column, m.Method)
		if len(m.Detect) > 0 {
			masks[i] = "what looks like " + strings.Join(m.Detect, ", ")
		}
	}
	return text + ", masked: " + strings.Join(masks, ", ")
}

// identity says who the agent was found to be.
func (w *witness) identity() policy.Identity {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id
}
