package config

import (
	"net"
	"time"
)

func readRoute(s *section) Route {
	r := Route{
		place: s.place, Name: s.required("name"), Protocol: s.choice("protocol", "postgres"), Labels: s.labels("labels"),
		Listen: s.required("listen"), TLS: readServerTLS(s), Upstream: s.required("upstream"), Database: s.required("database"),
	}
	checkListen(s, r.Listen, r.TLS)
	if r.Upstream != "" {
		if _, _, err := net.SplitHostPort(r.Upstream); err != nil {
			r.Upstream = net.JoinHostPort(r.Upstream, "5432")
		}
	}
	r.UpstreamTLS = readUpstreamTLS(s)
	r.Credential = readCredential(s)
	r.Limits = readRouteLimits(s)
	s.close()
	return r
}

func readUpstreamTLS(s *section) UpstreamTLS {
	t, _ := s.section("upstream_tls")
	defer t.close()
	u := UpstreamTLS{
		place: t.place, Mode: t.choice("mode", "verify-full", "verify-ca", "require", "disable"),
		CA: t.text("ca"), ServerName: t.text("server_name"),
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
		Pipeline: s.number("max_pipeline"), Names: s.number("max_names"), FactsCacheBytes: s.number("facts_cache_bytes"),
		StartupTimeout: s.duration("startup_timeout", 30*time.Second), ConnectTimeout: s.duration("connect_timeout", 10*time.Second),
		CatalogueMaxAge: s.duration("catalogue_max_age", 30*time.Second),
	}
}

// checkRoutes checks what concerns several routes.
func checkRoutes(root *section, routes []Route) {
	if len(routes) == 0 {
		*root.problems = append(*root.problems, root.at("routes").problem("needs at least one route"))
	}
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, r := range routes {
		if names[r.Name] && r.Name != "" {
			*root.problems = append(*root.problems, r.below("name").problem("%q is another route's name", r.Name))
		}
		if addresses[r.Listen] && r.Listen != "" {
			*root.problems = append(*root.problems, r.below("listen").problem("%s is another route's address", r.Listen))
		}
		names[r.Name], addresses[r.Listen] = true, true
	}
}
