package config

import (
	"net"
	"strings"
	"time"
)

func readRoute(s *section) Route {
	r := Route{
		place: s.place, Name: s.required("name"), Protocol: s.choice("protocol", "postgres"), Labels: s.labels("labels"),
		Listen: s.text("listen"), TLS: readServerTLS(s), Upstream: s.required("upstream"), Database: s.required("database"),
	}
	checkListen(s, r.Listen, r.TLS)
	readClients(s, &r)
	r.Upstream, r.UpstreamRandom = withPorts(r.Upstream), s.flag("upstream_random")
	r.TargetSession = s.choice("target_session", "any", "read-write", "read-only", "primary", "standby", "prefer-standby")
	r.PassNotifications = s.flag("pass_notifications")
	r.Propagate = readPropagate(s)
	r.UpstreamTLS = readUpstreamTLS(s)
	r.Credential = readCredential(s)
	r.Limits = readRouteLimits(s)
	s.close()
	return r
}

// readClients reads how clients prove who they are.
func readClients(s *section, r *Route) {
	r.CertificateSuffices = s.flag("certificate_suffices")
	if r.CertificateSuffices && (r.TLS == nil || r.TLS.ClientCA == "") {
		*s.problems = append(*s.problems, s.at("certificate_suffices").problem("needs tls with client_ca"))
	}
	if o, ok := s.section("oauth"); ok {
		r.OAuth = &OAuth{place: o.place, Issuer: o.required("issuer"), Scope: o.text("scope")}
		o.close()
	}
}

// withPorts adds the usual port to the addresses that have none.
func withPorts(upstream string) string {
	if upstream == "" {
		return ""
	}
	hosts := strings.Split(upstream, ",")
	for i, host := range hosts {
		hosts[i] = strings.TrimSpace(host)
		if _, _, err := net.SplitHostPort(hosts[i]); err != nil && hosts[i] != "" {
			hosts[i] = net.JoinHostPort(hosts[i], "5432")
		}
	}
	return strings.Join(hosts, ",")
}

func readUpstreamTLS(s *section) UpstreamTLS {
	t, _ := s.section("upstream_tls")
	defer t.close()
	u := UpstreamTLS{
		place: t.place, Mode: t.choice("mode", "verify-full", "verify-ca", "require", "disable"),
		CA: t.text("ca"), ServerName: t.text("server_name"), Direct: t.flag("direct"), ChannelBinding: t.choice("channel_binding", "prefer", "require"),
	}
	if u.CA != "" && (u.Mode == "require" || u.Mode == "disable") {
		*t.problems = append(*t.problems, t.at("ca").problem("is not looked at in mode %s", u.Mode))
	}
	return u
}

func readCredential(route *section) Credential {
	s, ok := route.section("credential")
	defer s.close()
	if !ok {
		route.fail("credential is required")
		return Credential{place: s.place}
	}
	c := Credential{place: s.place, Source: s.choice("source", "static", "env", "file"), Username: s.text("username")}
	switch c.Source {
	case "static":
		c.Password = Secret{place: s.at("password"), Value: s.secretText("password")}
		s.needUsername(c.Username == "")
	case "env":
		c.UsernameEnv = s.text("username_env")
		c.Password = Secret{place: s.at("password_env"), Env: s.required("password_env")}
		s.needUsername((c.Username == "") == (c.UsernameEnv == ""))
	case "file":
		c.Path, c.UsernamePath, c.KeyPath = s.required("path"), s.text("username_file"), s.text("key_file")
		c.Format = s.choice("format", "password", "json", "tls")
		c.GroupRead = s.flag("allow_group_read")
	}
	if c.Source != "static" {
		c.MaxAge = s.duration("max_age", 5*time.Minute)
	}
	return c
}

func (s *section) needUsername(missing bool) {
	if missing {
		s.fail("needs a user name")
	}
}

func readRouteLimits(route *section) RouteLimits {
	s, _ := route.section("limits")
	defer s.close()
	return RouteLimits{
		StatementBytes: s.number("max_statement_bytes"), MessageBytes: s.number("max_message_bytes"),
		RowBytes: s.number("max_row_bytes"), HeldBytes: s.number("max_held_bytes"),
		Pipeline: s.number("max_pipeline"), Names: s.number("max_names"), FactsCacheBytes: s.number("facts_cache_bytes"),
		StartupTimeout: s.duration("startup_timeout", 30*time.Second), ConnectTimeout: s.duration("connect_timeout", 10*time.Second),
		CatalogueMaxAge: s.duration("catalogue_max_age", 30*time.Second),
	}
}

// checkRoutes checks what concerns several routes.
func checkRoutes(root *section, c *Config) {
	routes := c.Routes
	if len(routes) == 0 {
		*root.problems = append(*root.problems, root.at("routes").problem("needs at least one route"))
	}
	certificates := len(c.Identity.MTLS) > 0
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, r := range routes {
		if names[r.Name] && r.Name != "" {
			*root.problems = append(*root.problems, r.below("name").problem("%q is another route's name", r.Name))
		}
		if addresses[r.Listen] && r.Listen != "" {
			*root.problems = append(*root.problems, r.below("listen").problem("%s is another route's address", r.Listen))
		}
		if r.CertificateSuffices && !certificates {
			*root.problems = append(*root.problems, r.below("certificate_suffices").problem("needs identity.mtls, where certificates count"))
		}
		names[r.Name], addresses[r.Listen] = true, true
	}
	entered := checkEntrances(root, c.Entrances, names, addresses)
	for _, r := range routes {
		if r.Listen == "" && !entered[r.Name] {
			*root.problems = append(*root.problems, r.below("listen").problem("is required where no entrance leads to the route"))
		}
	}
}
