package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds a configuration file.
const maxFile = 1 << 20

// Load reads a configuration. The Config is returned even where the error is a
// Problems, as far as it could be read. Files that it names are not opened.
func Load(r io.Reader) (*Config, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("config: larger than %d bytes", maxFile)
	}
	var document yaml.Node
	if err := yaml.Load(data, &document); err != nil {
		return nil, Problems{syntaxProblem(err)}
	}
	node := &document
	if node.Kind == yaml.DocumentNode && len(node.Content) == 1 {
		node = node.Content[0]
	}
	var problems Problems
	root := newSection(node, place{line: 1}, &problems)
	cfg := readConfig(root)
	root.close()
	return cfg, problems.sorted()
}

// syntaxProblem makes a problem of the parser's error, whose text names a line.
func syntaxProblem(err error) Problem {
	p := Problem{Line: 1, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := regexp.MustCompile(`\bL(\d+)\.C`).FindStringSubmatch(p.Message); m != nil {
		p.Line, _ = strconv.Atoi(m[1]) // digits
	}
	return p
}

func readConfig(root *section) *Config {
	c := &Config{ShutdownGrace: root.duration("shutdown_grace", 10*time.Second)}
	identity, _ := root.section("identity")
	c.Identity = readIdentity(identity)
	c.Policy = readPolicy(root)
	c.Record = readRecord(root)
	if s, ok := root.section("approvals"); ok {
		c.Approvals = readApprovals(s)
	}
	mask, _ := root.section("mask")
	c.Mask = Mask{place: mask.place, Key: mask.secret("key", false), Patterns: mask.labels("patterns")}
	mask.close()
	for _, s := range root.sections("routes") {
		c.Routes = append(c.Routes, readRoute(s))
	}
	for _, s := range root.sections("entrances") {
		c.Entrances = append(c.Entrances, readEntrance(s))
	}
	checkRoutes(root, c)
	c.Limits = readLimits(root)
	log, _ := root.section("log")
	c.Log = Log{Level: log.choice("level", "info", "debug", "warn", "error"), Format: log.choice("format", "text", "json")}
	log.close()
	return c
}

func readIdentity(s *section) Identity {
	id := Identity{place: s.place}
	for _, t := range s.sections("static") {
		id.Static = append(id.Static, StaticToken{
			place: t.place, Token: t.secret("token", true), Subject: t.required("subject"), Groups: t.texts("groups"),
		})
		t.close()
	}
	for _, i := range s.sections("oidc") {
		id.OIDC = append(id.OIDC, readIssuer(i))
	}
	for _, c := range s.sections("mtls") {
		id.MTLS = append(id.MTLS, readCertificates(c))
	}
	s.close()
	if len(id.Static)+len(id.OIDC)+len(id.MTLS) == 0 {
		s.fail("needs at least one entry in static, oidc or mtls")
	}
	return id
}

func readIssuer(s *section) Issuer {
	i := Issuer{
		place: s.place, URL: s.required("issuer"), Audiences: s.texts("audiences"), Algorithms: s.texts("algorithms"), Types: s.texts("types"),
		SubjectClaim: s.text("subject_claim"), MaxAge: s.duration("max_age", 24*time.Hour), JWKSURL: s.text("jwks_url"),
	}
	if claim := s.text("groups_claim"); claim != "" {
		i.GroupsClaim = strings.Split(claim, ".")
	}
	if len(i.Audiences) == 0 {
		s.fail("audiences is required")
	}
	s.close()
	return i
}

func readCertificates(s *section) Certificates {
	defer s.close()
	return Certificates{
		place: s.place, Roots: s.required("roots"), Name: s.choice("name", "spiffe", "dns", "common-name"),
		TrustDomains: s.texts("trust_domains"), Issuer: s.required("issuer"),
	}
}

func readPolicy(root *section) Policy {
	s, _ := root.section("policy")
	p := Policy{
		place: s.place, Dir: s.text("dir"), Bundle: s.text("bundle"), AllowBuiltins: s.texts("allow_builtins"),
		AllowHosts: s.texts("allow_hosts"), Timeout: s.duration("timeout", 250*time.Millisecond),
	}
	if (p.Dir == "") == (p.Bundle == "") {
		s.fail("needs exactly one of dir and bundle")
	}
	s.close()
	return p
}

func readRecord(root *section) Record {
	s, _ := root.section("record")
	r := Record{
		place: s.place, Dir: s.required("dir"), Mode: s.choice("mode", "buffered", "durable", "best-effort"),
		SigningKey: s.required("signing_key"), CreateSigningKey: s.flag("create_signing_key"), RootKey: s.secret("root_key", false),
	}
	s.close()
	return r
}

func readApprovals(s *section) *Approvals {
	a := &Approvals{
		place: s.place, Listen: s.required("listen"), BaseURL: s.text("base_url"), TLS: readServerTLS(s),
		Expiry: s.duration("expiry", 5*time.Minute), Groups: s.texts("groups"),
	}
	approvers, ok := s.section("approvers")
	if ok {
		a.Approvers = readIdentity(approvers)
		if len(a.Approvers.MTLS) > 0 {
			approvers.fail("mtls is for clients of the routes: approvers have tokens")
		}
	} else {
		s.fail("approvers is required")
	}
	if len(a.Approvers.OIDC) > 0 && len(a.Groups) == 0 {
		s.fail("groups is required with approvers.oidc: otherwise everybody with a token of the issuer could approve")
	}
	if a.BaseURL == "" {
		a.BaseURL = "http://" + a.Listen
		if a.TLS != nil {
			a.BaseURL = "https://" + a.Listen
		}
	}
	checkListen(s, a.Listen, a.TLS)
	s.close()
	return a
}

func readServerTLS(s *section) *ServerTLS {
	t, ok := s.section("tls")
	if !ok {
		return nil
	}
	defer t.close()
	out := &ServerTLS{
		place: t.place, Cert: t.required("cert"), Key: t.required("key"), MinVersion: t.choice("min_version", "1.2", "1.3"), ClientCA: t.text("client_ca"),
		ClientCertificates: t.text("client_certificates"),
	}
	if out.ClientCA != "" {
		out.ClientCertificates = t.choice("client_certificates", "required", "optional")
	} else if out.ClientCertificates != "" {
		*t.problems = append(*t.problems, t.at("client_certificates").problem("needs client_ca"))
	}
	return out
}

func readLimits(root *section) Limits {
	s, _ := root.section("limits")
	defer s.close()
	return Limits{
		Connections: s.number("max_connections"), Unauthenticated: s.number("max_unauthenticated"),
		LoginTimeout: s.duration("login_timeout", time.Minute), DecisionTimeout: s.duration("decision_timeout", time.Second),
	}
}

// checkListen refuses an address where tokens would cross a network readably.
func checkListen(s *section, listen string, tls *ServerTLS) {
	if listen == "" || tls != nil {
		return
	}
	loopback, err := isLocal(listen)
	switch {
	case err != nil:
		*s.problems = append(*s.problems, s.at("listen").problem("%v", err))
	case !loopback:
		*s.problems = append(*s.problems, s.at("listen").problem("is not a loopback address, so tls is required"))
	}
}

// isLocal reports whether an address is a Unix socket's path or on loopback.
func isLocal(listen string) (bool, error) {
	if strings.HasPrefix(listen, "/") {
		return true, nil
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false, errors.New("must be host:port or the absolute path of a Unix socket")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback(), nil
}
