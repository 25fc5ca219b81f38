package config

import "strings"

func readEntrance(s *section) Entrance {
	e := Entrance{place: s.place, Listen: s.required("listen"), TLS: readServerTLS(s)}
	checkListen(s, e.Listen, e.TLS)
	for _, r := range s.sections("routes") {
		e.Routes = append(e.Routes, EntranceRoute{
			place: r.place, Route: r.required("route"), ServerNames: r.texts("server_names"), Databases: r.texts("databases"),
		})
		r.close()
	}
	if len(e.Routes) == 0 {
		s.fail("needs at least one entry in routes")
	}
	s.close()
	return e
}

// checkEntrances checks what entrances have to do with each other and with the
// routes, and returns the routes that they lead to.
func checkEntrances(root *section, entrances []Entrance, routes, addresses map[string]bool) map[string]bool {
	entered := map[string]bool{}
	for _, e := range entrances {
		if addresses[e.Listen] && e.Listen != "" {
			*root.problems = append(*root.problems, e.below("listen").problem("%s is another's address", e.Listen))
		}
		addresses[e.Listen] = true
		for _, r := range e.Routes {
			if !routes[r.Route] && r.Route != "" {
				*root.problems = append(*root.problems, r.below("route").problem("there is no route %q", r.Route))
			}
			entered[r.Route] = true
		}
	}
	return entered
}

func readPropagate(route *section) Propagate {
	s, _ := route.section("propagate")
	defer s.close()
	p := Propagate{place: s.place, ApplicationName: s.flag("application_name"), Settings: s.labels("settings"), Role: s.text("role")}
	for _, fact := range p.Settings {
		s.needFact("settings", fact)
	}
	if p.Role != "" {
		s.needFact("role", p.Role)
	}
	return p
}

// claimPrefix begins the facts that are claims.
const claimPrefix = "claim."

func (s *section) needFact(name, fact string) {
	claim, ok := strings.CutPrefix(fact, claimPrefix)
	if fact != "subject" && fact != "issuer" && (!ok || claim == "") {
		*s.problems = append(*s.problems, s.at(name).problem("must be subject, issuer or %sNAME", claimPrefix))
	}
}
