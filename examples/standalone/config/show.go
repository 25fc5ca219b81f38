package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/headgate/gateway/policy/secret"
)

// Show returns the configuration as YAML with defaults filled in and secrets
// redacted. What is not set is left out.
func (c *Config) Show() ([]byte, error) {
	root := mapping()
	root.child("identity", showIdentity(c.Identity))
	root.child("policy", mapping().text("dir", c.Policy.Dir).text("bundle", c.Policy.Bundle).
		texts("allow_builtins", c.Policy.AllowBuiltins).texts("allow_hosts", c.Policy.AllowHosts).duration("timeout", c.Policy.Timeout))
	root.child("record", mapping().text("dir", c.Record.Dir).text("mode", c.Record.Mode).text("signing_key", c.Record.SigningKey).
		flag("create_signing_key", c.Record.CreateSigningKey).secret("root_key", c.Record.RootKey))
	if a := c.Approvals; a != nil {
		root.child("approvals", mapping().text("listen", a.Listen).text("base_url", a.BaseURL).child("tls", showTLS(a.TLS)).
			duration("expiry", a.Expiry).texts("groups", a.Groups).child("approvers", showIdentity(a.Approvers)))
	}
	root.child("mask", mapping().secret("key", c.Mask.Key).child("patterns", showLabels(c.Mask.Patterns)))
	routes := make([]*shown, 0, len(c.Routes))
	for i := range c.Routes {
		routes = append(routes, showRoute(&c.Routes[i]))
	}
	root.list("routes", routes)
	entrances := make([]*shown, 0, len(c.Entrances))
	for i := range c.Entrances {
		entrances = append(entrances, showEntrance(&c.Entrances[i]))
	}
	root.list("entrances", entrances)
	root.child("limits", mapping().number("max_connections", c.Limits.Connections).
		number("max_unauthenticated", c.Limits.Unauthenticated).duration("login_timeout", c.Limits.LoginTimeout).duration("decision_timeout", c.Limits.DecisionTimeout))
	root.child("log", mapping().text("level", c.Log.Level).text("format", c.Log.Format))
	root.duration("shutdown_grace", c.ShutdownGrace)
	return yaml.Dump(root.node)
}

func showIdentity(id Identity) *shown {
	tokens, issuers := make([]*shown, 0, len(id.Static)), make([]*shown, 0, len(id.OIDC))
	for _, t := range id.Static {
		tokens = append(tokens, mapping().secret("token", t.Token).text("subject", t.Subject).texts("groups", t.Groups))
	}
	for _, i := range id.OIDC {
		s := mapping().text("issuer", i.URL).texts("audiences", i.Audiences).texts("algorithms", i.Algorithms).
			texts("types", i.Types).text("subject_claim", i.SubjectClaim).text("groups_claim", strings.Join(i.GroupsClaim, ".")).
			duration("max_age", i.MaxAge).text("jwks_url", i.JWKSURL)
		issuers = append(issuers, s)
	}
	certificates := make([]*shown, 0, len(id.MTLS))
	for _, c := range id.MTLS {
		certificates = append(certificates, mapping().text("roots", c.Roots).text("name", c.Name).
			texts("trust_domains", c.TrustDomains).text("issuer", c.Issuer))
	}
	return mapping().list("static", tokens).list("oidc", issuers).list("mtls", certificates)
}

func showTLS(t *ServerTLS) *shown {
	if t == nil {
		return mapping()
	}
	return mapping().text("cert", t.Cert).text("key", t.Key).text("min_version", t.MinVersion).
		text("client_ca", t.ClientCA).text("client_certificates", t.ClientCertificates)
}

// showLabels shows a mapping of strings in the order of its keys.
func showLabels(all map[string]string) *shown {
	out := mapping()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out.text(name, all[name])
	}
	return out
}

func showRoute(r *Route) *shown {
	oauth := mapping()
	if r.OAuth != nil {
		oauth.text("issuer", r.OAuth.Issuer).text("scope", r.OAuth.Scope)
	}
	c, l := r.Credential, r.Limits
	return mapping().text("name", r.Name).text("protocol", r.Protocol).child("labels", showLabels(r.Labels)).text("listen", r.Listen).
		child("tls", showTLS(r.TLS)).flag("certificate_suffices", r.CertificateSuffices).child("oauth", oauth).
		text("upstream", r.Upstream).flag("upstream_random", r.UpstreamRandom).text("target_session", r.TargetSession).
		child("upstream_tls", mapping().text("mode", r.UpstreamTLS.Mode).text("ca", r.UpstreamTLS.CA).text("server_name", r.UpstreamTLS.ServerName).
			flag("direct", r.UpstreamTLS.Direct).text("channel_binding", r.UpstreamTLS.ChannelBinding)).
		text("database", r.Database).flag("pass_notifications", r.PassNotifications).
		child("propagate", mapping().flag("application_name", r.Propagate.ApplicationName).
			child("settings", showLabels(r.Propagate.Settings)).text("role", r.Propagate.Role)).
		child("credential", mapping().text("source", c.Source).text("username", c.Username).text("username_env", c.UsernameEnv).
			secret("password", c.Password).text("path", c.Path).text("format", c.Format).text("username_file", c.UsernamePath).
			text("key_file", c.KeyPath).flag("allow_group_read", c.GroupRead).duration("max_age", c.MaxAge)).
		child("limits", mapping().number("max_statement_bytes", l.StatementBytes).number("max_message_bytes", l.MessageBytes).
			number("max_row_bytes", l.RowBytes).number("max_held_bytes", l.HeldBytes).
			number("max_pipeline", l.Pipeline).number("max_names", l.Names).number("facts_cache_bytes", l.FactsCacheBytes).
			duration("startup_timeout", l.StartupTimeout).duration("connect_timeout", l.ConnectTimeout).
			duration("catalogue_max_age", l.CatalogueMaxAge))
}

func showEntrance(e *Entrance) *shown {
	routes := make([]*shown, 0, len(e.Routes))
	for _, r := range e.Routes {
		routes = append(routes, mapping().text("route", r.Route).texts("server_names", r.ServerNames).texts("databases", r.Databases))
	}
	return mapping().text("listen", e.Listen).child("tls", showTLS(e.TLS)).list("routes", routes)
}

// shown builds a mapping. Empty values are left out.
type shown struct{ node *yaml.Node }

func mapping() *shown { return &shown{&yaml.Node{Kind: yaml.MappingNode}} }

func scalar(v, tag string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: v, Tag: tag}
}

func (s *shown) put(name string, value *yaml.Node) *shown {
	s.node.Content = append(s.node.Content, scalar(name, "!!str"), value)
	return s
}

func (s *shown) text(name, v string) *shown {
	if v == "" {
		return s
	}
	return s.put(name, scalar(v, "!!str"))
}

func (s *shown) number(name string, v int) *shown {
	if v == 0 {
		return s
	}
	return s.put(name, scalar(strconv.Itoa(v), "!!int"))
}

func (s *shown) flag(name string, v bool) *shown {
	if !v {
		return s
	}
	return s.put(name, scalar("true", "!!bool"))
}

func (s *shown) duration(name string, v time.Duration) *shown {
	if v == 0 {
		return s
	}
	return s.text(name, v.String())
}

func (s *shown) texts(name string, v []string) *shown {
	if len(v) == 0 {
		return s
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, text := range v {
		list.Content = append(list.Content, scalar(text, "!!str"))
	}
	return s.put(name, list)
}

func (s *shown) secret(name string, v Secret) *shown {
	if !v.Value.IsEmpty() {
		s.text(name, secret.Redacted)
	}
	return s.text(name+"_env", v.Env).text(name+"_file", v.File)
}

func (s *shown) child(name string, v *shown) *shown {
	if len(v.node.Content) == 0 {
		return s
	}
	return s.put(name, v.node)
}

func (s *shown) list(name string, v []*shown) *shown {
	if len(v) == 0 {
		return s
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, item := range v {
		list.Content = append(list.Content, item.node)
	}
	return s.put(name, list)
}
