package intercept

import (
	"sync/atomic"

	"github.com/headgate/gateway/policy"
)

// counters are the running totals behind policy.Counters.
type counters struct {
	commands, denied, approved, rows, bytes atomic.Int64
}

func (c *counters) snapshot() policy.Counters {
	return policy.Counters{
		Commands: c.commands.Load(),
		Denied:   c.denied.Load(),
		Approved: c.approved.Load(),
		Rows:     c.rows.Load(),
		Bytes:    c.bytes.Load(),
	}
}
