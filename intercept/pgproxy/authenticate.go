package pgproxy

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/headgate/gateway/intercept"
	"github.com/headgate/gateway/policy/identity"
	"github.com/headgate/gateway/policy/secret"
)

// OAuth is what a client is told that asks where to get a token (RFC 7628).
type OAuth struct {
	// Issuer is the URL of the authorization server, as it calls itself in its
	// metadata, or the URL of that metadata (with "/.well-known/" in it). Required.
	Issuer string
	// Scope lists, with spaces between them, the scopes that a token needs.
	Scope string
}

func (o *OAuth) validate() error {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("Config.OAuth.Issuer %q is not an https URL without user, query and fragment", o.Issuer)
	}
	for _, c := range o.Scope {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf("Config.OAuth.Scope %q has characters that no scope may have", o.Scope)
		}
	}
	return nil
}

// metadata is where the authorization server describes itself.
func (o *OAuth) metadata() string {
	if strings.Contains(o.Issuer, "/.well-known/") {
		return o.Issuer
	}
	return strings.TrimSuffix(o.Issuer, "/") + "/.well-known/openid-configuration"
}

// identify finds out who the client is: by the proof that the host has brought,
// by its certificate where that suffices, or by a token that it is asked for. The
// verifier gets the certificate, too, where there is one.
func (c *connection) identify(ctx context.Context) error {
	proof := identity.Proof{Claimed: c.startup.parameters["user"]}
	if secured, ok := c.conn.(*tls.Conn); ok {
		proof.Certificates = secured.ConnectionState().PeerCertificates
	}
	switch {
	case c.guard.Preverified():
	case len(proof.Certificates) > 0 && c.proxy.cfg.CertificateSuffices:
	case !isEncrypted(c.conn) && !isTrusted(c.conn):
		return c.refuse(&intercept.Refusal{
			Code: intercept.CodeUnauthenticated, Reason: "TLS is required to present a token",
			Hint: "connect with sslmode=require or stricter",
		})
	case c.proxy.cfg.OAuth != nil:
		token, err := c.bearer()
		if err != nil {
			return err
		}
		proof.Token = token
	default:
		token, err := c.password()
		if err != nil {
			return err
		}
		proof.Token = token
	}
	if c.asked && proof.Token.IsEmpty() {
		proof.Certificates = nil // which does not stand in for the token that was asked for
	}
	return c.verify(ctx, proof)
}

// verify has the Guard check the proof and tells the client of a failure, never
// of its reason.
func (c *connection) verify(ctx context.Context, proof identity.Proof) error {
	ctx, cancel := context.WithTimeout(ctx, c.proxy.cfg.StartupTimeout)
	defer cancel()
	err := c.guard.Identify(ctx, proof)
	if err == nil {
		return nil
	}
	if errors.Is(err, intercept.ErrRecorder) {
		return errors.Join(err, c.refuse(&intercept.Refusal{Code: intercept.CodeRecorder, Reason: "the session's record could not be kept"}))
	}
	if c.proxy.cfg.OAuth != nil && !proof.Token.IsEmpty() {
		err = errors.Join(err, c.pointToIssuer())
	}
	return errors.Join(err, c.refuse(&intercept.Refusal{Code: intercept.CodeUnauthenticated, Reason: "authentication failed"}))
}

// password asks for a cleartext password, which is the token.
func (c *connection) password() (secret.Value, error) {
	if err := c.ask(authCleartext, nil); err != nil {
		return secret.Value{}, err
	}
	body, err := c.response()
	if err != nil {
		return secret.Value{}, err
	}
	if len(body) == 0 || body[len(body)-1] != 0 {
		return secret.Value{}, fmt.Errorf("%w: password is not terminated", errMalformed)
	}
	return secret.FromBytes(body[:len(body)-1]), nil
}

// bearer asks for a token by SASL OAUTHBEARER. A client that does not have one yet
// is told where to get it, and refused.
func (c *connection) bearer() (secret.Value, error) {
	if err := c.ask(authSASL, []byte(mechanismBearer+"\x00\x00")); err != nil {
		return secret.Value{}, err
	}
	body, err := c.response()
	if err != nil {
		return secret.Value{}, err
	}
	initial, present, err := parseSASLInitial(body)
	if err == nil && !present { // it wants to be asked first
		if err = c.ask(authSASLContinue, nil); err == nil {
			initial, err = c.response()
		}
	}
	if err != nil {
		return secret.Value{}, c.violated(err)
	}
	header, err := parseBearer(initial)
	if err != nil {
		return secret.Value{}, c.violated(err)
	}
	token, err := bearerToken(header)
	if err != nil {
		err = errors.Join(err, c.pointToIssuer())
		return secret.Value{}, errors.Join(err, c.refuse(&intercept.Refusal{Code: intercept.CodeUnauthenticated, Reason: "authentication failed"}))
	}
	return token, nil
}

// pointToIssuer sends the error that tells where tokens come from. The client has
// to answer with one byte before it is refused.
func (c *connection) pointToIssuer() error {
	if err := c.ask(authSASLContinue, c.proxy.cfg.OAuth.challenge()); err != nil {
		return err
	}
	body, err := c.response()
	if err == nil && string(body) != kvSeparator {
		err = fmt.Errorf("%w: answer to an OAUTHBEARER error", errMalformed)
	}
	return err
}

// violated tells the client that it broke the protocol of its authentication.
func (c *connection) violated(err error) error {
	if !errors.Is(err, errMalformed) {
		return err
	}
	_, werr := c.conn.Write(appendProblem(nil, msgError, problem{
		severity: severityFatal, code: "08P01", message: "headgate: malformed authentication message",
	}))
	return errors.Join(err, werr)
}

// ask sends an authentication request.
func (c *connection) ask(code uint32, data []byte) error {
	c.asked = true
	request := appendMessage(nil, msgAuthentication, func(b []byte) []byte {
		return append(binary.BigEndian.AppendUint32(b, code), data...)
	})
	_, err := c.conn.Write(request)
	return err
}

// response reads the body of a client's answer to an authentication request.
func (c *connection) response() ([]byte, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return nil, err
	}
	n, err := bodyLength(head[:])
	if err != nil || head[0] != msgPassword || n > maxToken {
		return nil, fmt.Errorf("%w: answer to an authentication request", errMalformed)
	}
	body := make([]byte, n)
	_, err = io.ReadFull(c.conn, body)
	return body, err
}

// Authentication codes (manual, "Message Formats").
const (
	authOK           = 0
	authCleartext    = 3
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
)

// maxToken bounds a client's answer to an authentication request.
const maxToken = 64 << 10
