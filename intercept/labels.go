package intercept

import "maps"

// maxLabels bounds what a policy can add to a session.
const maxLabels = 64

// addLabels adds a decision's labels to the session. Readers hold the old map.
func (g *Guard) addLabels(labels map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := map[string]string{}
	if old := g.labels.Load(); old != nil {
		if contains(*old, labels) {
			return
		}
		maps.Copy(next, *old)
	}
	for k, v := range labels {
		if _, known := next[k]; known || len(next) < maxLabels {
			next[k] = v
		}
	}
	g.labels.Store(&next)
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if have, ok := all[k]; !ok || have != v {
			return false
		}
	}
	return true
}
