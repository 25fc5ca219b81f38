package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// An approver decides over the approvals API, as a page or a chat bot would.
type approver struct {
	url, token string
}

// request is what the API says of a request, as far as it is shown.
type request struct {
	Digest     string `json:"digest"`
	Principals []struct {
		Subject string `json:"subject"`
	} `json:"principals"`
	Command struct {
		Text string `json:"text"`
	} `json:"command"`
	Reasons []struct {
		Message string `json:"message"`
	} `json:"reasons"`
}

func (a approver) get(ctx context.Context, id string) (*request, error) {
	var r request
	return &r, a.call(ctx, http.MethodGet, "/requests/"+id, nil, &r)
}

// grant says yes to exactly what was shown.
func (a approver) grant(ctx context.Context, id string, r *request) error {
	answer := map[string]string{"decision": "grant", "digest": r.Digest, "reason": "it is a duplicate"}
	return a.call(ctx, http.MethodPost, "/requests/"+id+"/decide", answer, nil)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

func (a approver) call(ctx context.Context, method, path string, body, into any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, &content)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("approvals API: %s: %s", resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
