package approve

import (
	"context"
	"errors"
	"net/http"

	"github.com/headgate/gateway/policy"
)

// Handler returns a JSON API for approvers. Mount it under any prefix with
// http.StripPrefix.
//
//	GET  /requests              pending requests, shortened and without digests
//	GET  /requests/{id}         one request, whole
//	POST /requests/{id}/decide  {"decision":"grant","digest":"…","reason":"…","scope":{"uses":1,"for":"15m","session":true}}
//	GET  /grants                standing grants, shortened
//	POST /grants/{id}/revoke    {}
//
// auth returns the verified identity of whoever calls, and an error refuses the
// call with 401; its text is not shown. A nil auth refuses all. auth must prove
// the identity, and unless Config.ApproverGroups is set it must accept approvers
// only: any other identity, an agent's too, may decide what asks for no group.
//
// An approver sees only what it may decide about; anything else is 404. A
// decision must repeat the digest of the request as it was shown by
// /requests/{id}. Calls that change something must be of the type
// application/json and must not come from another origin's page.
//
// Errors are {"code":"…","message":"…"}. Everything that is not plain printable
// ASCII leaves as a JSON escape, so that a command can't act on the terminal
// that shows the answer; whoever decodes it must escape it again.
func (e *Engine) Handler(auth func(*http.Request) (policy.Identity, error)) http.Handler {
	h := &handler{engine: e, auth: auth}
	mux := http.NewServeMux()
	h.route(mux, "/requests", http.MethodGet, h.listRequests)
	h.route(mux, "/requests/{id}", http.MethodGet, h.getRequest)
	h.route(mux, "/requests/{id}/decide", http.MethodPost, h.decide)
	h.route(mux, "/grants", http.MethodGet, h.listGrants)
	h.route(mux, "/grants/{id}/revoke", http.MethodPost, h.revoke)
	mux.Handle("/", h.secured(func(*http.Request, policy.Identity) (any, error) { return nil, ErrUnknown }))
	return mux
}

type handler struct {
	engine *Engine
	auth   func(*http.Request) (policy.Identity, error)
}

// An action answers an authenticated request.
type action func(*http.Request, policy.Identity) (any, error)

func (h *handler) route(mux *http.ServeMux, pattern, method string, do action) {
	mux.Handle(pattern, h.secured(func(r *http.Request, approver policy.Identity) (any, error) {
		if r.Method != method {
			return nil, &apiError{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "no such method here", allow: method}
		}
		return do(r, approver)
	}))
}

// secured is the one gate in front of every action.
func (h *handler) secured(do action) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		approver, err := h.authenticate(r)
		if err != nil {
			writeError(w, err)
			return
		}
		if origin.Check(r) != nil {
			writeError(w, errOrigin)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		body, err := do(r, approver)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, body)
	})
}

func (h *handler) authenticate(r *http.Request) (policy.Identity, error) {
	if h.auth == nil {
		return policy.Identity{}, errUnauthenticated
	}
	id, err := h.auth(r)
	if err != nil || id.Subject == "" {
		return policy.Identity{}, errUnauthenticated
	}
	return id, nil
}

func (h *handler) listRequests(r *http.Request, approver policy.Identity) (any, error) {
	list, err := h.list(r.Context(), approver, StatePending)
	return struct {
		Requests []ticketView `json:"requests"`
	}{list}, err
}

func (h *handler) listGrants(r *http.Request, approver policy.Identity) (any, error) {
	list, err := h.list(r.Context(), approver, StateGranted)
	return struct {
		Grants []ticketView `json:"grants"`
	}{list}, err
}

func (h *handler) list(ctx context.Context, approver policy.Identity, state State) ([]ticketView, error) {
	tickets, err := h.engine.List(ctx, approver)
	out := []ticketView{}
	for _, t := range tickets {
		if t.State == state {
			out = append(out, summaryOf(&t))
		}
	}
	return out, err
}

func (h *handler) getRequest(r *http.Request, approver policy.Identity) (any, error) {
	t, err := h.engine.Get(r.Context(), approver, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return viewOf(&t), nil
}

func (h *handler) decide(r *http.Request, approver policy.Identity) (any, error) {
	answer, err := readAnswer(r)
	if err != nil {
		return nil, err
	}
	t, err := h.engine.Decide(r.Context(), approver, r.PathValue("id"), answer)
	if err != nil {
		return nil, err
	}
	return summaryOf(&t), nil
}

func (h *handler) revoke(r *http.Request, approver policy.Identity) (any, error) {
	if err := readBody(r, &struct{}{}); err != nil {
		return nil, err
	}
	t, err := h.engine.Revoke(r.Context(), approver, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return summaryOf(&t), nil
}

// An apiError is an error with its answer.
type apiError struct {
	status  int
	code    string
	message string
	allow   string // for 405: the one method there is
}

// Error returns the message.
func (e *apiError) Error() string { return e.message }

var (
	errUnauthenticated = &apiError{status: http.StatusUnauthorized, code: "unauthenticated", message: "who you are could not be established"}
	errOrigin          = &apiError{status: http.StatusForbidden, code: "cross_origin", message: "requests from other origins' pages are refused"}
	errContentType     = &apiError{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "the body must be application/json"}
	errTooLarge        = &apiError{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "the body is too large"}
	errInternal        = &apiError{status: http.StatusInternalServerError, code: "internal", message: "the request could not be handled"}
)

// answerTo maps an error to its answer. What is not listed is not shown.
func answerTo(err error) *apiError {
	var api *apiError
	switch {
	case errors.As(err, &api):
		return api
	case errors.Is(err, ErrUnknown):
		return &apiError{status: http.StatusNotFound, code: "not_found", message: "there is nothing here for you"}
	case errors.Is(err, ErrSelf):
		return &apiError{status: http.StatusForbidden, code: "self_approval", message: "you can't decide about a request of your own"}
	case errors.Is(err, ErrDigest):
		return &apiError{status: http.StatusConflict, code: "digest_mismatch", message: "the decision is about another action than the request's"}
	case errors.Is(err, ErrDecided):
		return &apiError{status: http.StatusConflict, code: "already_decided", message: "the request has been decided, or nothing of the grant is left"}
	case errors.Is(err, ErrExpired):
		return &apiError{status: http.StatusConflict, code: "expired", message: "the request has expired"}
	case errors.Is(err, ErrWithdrawn):
		return &apiError{status: http.StatusConflict, code: "withdrawn", message: "nobody waits for the answer any more"}
	case errors.Is(err, ErrScope):
		return &apiError{status: http.StatusUnprocessableEntity, code: "scope_not_allowed", message: err.Error()}
	default:
		return errInternal
	}
}
