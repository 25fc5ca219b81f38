package config

import (
	"fmt"
	"strings"

	"github.com/headgate/gateway/intercept/pgproxy"
	"github.com/headgate/gateway/policy"
)

// entrance makes what chooses between the routes of an entrance.
func (r *resolver) entrance(e *Entrance) {
	cfg := pgproxy.SwitchConfig{TLS: r.serverTLS(e.TLS)}
	for _, to := range e.Routes {
		for i := range r.cfg.Routes {
			if c := &r.cfg.Routes[i]; c.Name == to.Route && r.Routes[i].Interceptor != nil {
				cfg.Routes = append(cfg.Routes, pgproxy.SwitchRoute{
					Route: c.Name, Interceptor: r.Routes[i].Interceptor, ServerNames: to.ServerNames, Databases: to.Databases,
				})
			}
		}
	}
	if len(cfg.Routes) < len(e.Routes) || len(cfg.Routes) == 0 {
		r.Entrances = append(r.Entrances, nil)
		return // reported when it was read
	}
	s, err := pgproxy.NewSwitch(cfg)
	r.problems.report(e.place, err)
	r.Entrances = append(r.Entrances, s)
}

func propagation(c Propagate) pgproxy.Propagation {
	p := pgproxy.Propagation{ApplicationName: c.ApplicationName}
	if c.Role != "" {
		p.Role = fact(c.Role)
	}
	for name, value := range c.Settings {
		if p.Settings == nil {
			p.Settings = map[string]func(*policy.Identity) (string, error){}
		}
		p.Settings[name] = fact(value)
	}
	return p
}

// fact returns a function that tells a fact of an identity.
func fact(name string) func(*policy.Identity) (string, error) {
	claim, isClaim := strings.CutPrefix(name, claimPrefix)
	return func(id *policy.Identity) (string, error) {
		switch {
		case isClaim:
			value, ok := id.Claims[claim].(string)
			if !ok {
				return "", fmt.Errorf("the identity has no text as its claim %q", claim)
			}
			return value, nil
		case name == "issuer":
			return id.Issuer, nil
		default:
			return id.Subject, nil
		}
	}
}
