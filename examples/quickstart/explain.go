package main

import (
	"fmt"
	"io"
	"net"
)

// explain tells how to go on by hand.
func (s *stage) explain(out io.Writer) error {
	agent, err := s.agentToken(agentAudience)
	if err != nil {
		return err
	}
	bea, err := s.approverToken()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `
Everything stays up until you press Ctrl-C. Be the agent:

  PGPASSWORD=%s \
    psql "host=%s port=%s user=agent dbname=%s sslmode=disable"

Be the approver, when a DELETE waits (approvals: %s/requests):

  BEA=%s
  curl -s -H "Authorization: Bearer $BEA" %s/requests
  curl -s -H "Authorization: Bearer $BEA" %s/requests/ID
  curl -s -H "Authorization: Bearer $BEA" -H "Content-Type: application/json" \
    -d '{"decision":"grant","digest":"DIGEST"}' %s/requests/ID/decide

Recordings are in %s for as long as this runs, unless -record says where to keep them.
`, agent, host, port, s.database.name, s.approvals, bea, s.approvals, s.approvals, s.approvals, s.recording)
	return err
}
