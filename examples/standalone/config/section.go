package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/headgate/gateway/policy/secret"
)

// A section reads one mapping of the file. What is not asked for by the time
// that close is called is an unknown key.
type section struct {
	place
	fields   map[string]field
	asked    []string
	problems *Problems
}

type field struct {
	place
	node *yaml.Node
}

// newSection starts to read a mapping. A missing one (nil, null) has no fields.
func newSection(node *yaml.Node, at place, problems *Problems) *section {
	s := &section{place: at, fields: map[string]field{}, problems: problems}
	if node == nil || node.Tag == "!!null" {
		return s
	}
	if node.Kind == yaml.AliasNode {
		s.fail("anchors and aliases are not supported")
		return s
	}
	if node.Kind != yaml.MappingNode {
		s.fail("must be a mapping of keys and values")
		return s
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		s.add(node.Content[i], node.Content[i+1])
	}
	return s
}

func (s *section) add(key, value *yaml.Node) {
	at := place{key.Line, strings.TrimPrefix(s.field+"."+key.Value, ".")}
	if _, ok := s.fields[key.Value]; ok {
		*s.problems = append(*s.problems, at.problem("is set twice"))
		return
	}
	s.fields[key.Value] = field{at, value}
}

func (s *section) fail(message string) {
	*s.problems = append(*s.problems, s.problem("%s", message))
}

// at returns where a field stands, the section itself if it is not there.
func (s *section) at(name string) place {
	if f, ok := s.fields[name]; ok {
		return f.place
	}
	return s.below(name)
}

// close reports the keys that nobody has asked for.
func (s *section) close() {
	for name, f := range s.fields {
		if slices.Contains(s.asked, name) {
			continue
		}
		*s.problems = append(*s.problems, f.problem("unknown key; there are: %s", strings.Join(slices.Sorted(slices.Values(s.asked)), ", ")))
	}
}

func (s *section) ask(name string) (field, bool) {
	s.asked = append(s.asked, name)
	f, ok := s.fields[name]
	return f, ok && f.node.Tag != "!!null"
}

// text reads a string.
func (s *section) text(name string) string {
	f, ok := s.ask(name)
	if !ok {
		return ""
	}
	return s.scalar(f)
}

func (s *section) scalar(f field) string {
	if f.node.Kind != yaml.ScalarNode {
		*s.problems = append(*s.problems, f.problem("must be a single value"))
		return ""
	}
	return f.node.Value
}

// required reads a string that must be there.
func (s *section) required(name string) string {
	v := s.text(name)
	if v == "" {
		*s.problems = append(*s.problems, s.at(name).problem("is required"))
	}
	return v
}

// choice reads one of a few words; the first is the default.
func (s *section) choice(name string, words ...string) string {
	v := s.text(name)
	if v == "" {
		return words[0]
	}
	if !slices.Contains(words, v) {
		*s.problems = append(*s.problems, s.at(name).problem("must be one of %s", strings.Join(words, ", ")))
		return words[0]
	}
	return v
}

// flag reads true or false.
func (s *section) flag(name string) bool {
	switch v := s.text(name); v {
	case "", "false":
		return false
	case "true":
		return true
	default:
		*s.problems = append(*s.problems, s.at(name).problem("must be true or false"))
		return false
	}
}

// number reads a whole number that is not negative.
func (s *section) number(name string) int {
	v := s.text(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		*s.problems = append(*s.problems, s.at(name).problem("must be a whole number from 0"))
		return 0
	}
	return n
}

// duration reads a time span, as "90s" or "1h30m".
func (s *section) duration(name string, zero time.Duration) time.Duration {
	v := s.text(name)
	if v == "" {
		return zero
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		*s.problems = append(*s.problems, s.at(name).problem(`must be a positive time span, as "90s" or "1h30m"`))
		return zero
	}
	return d
}

// texts reads a list of strings.
func (s *section) texts(name string) []string {
	f, ok := s.ask(name)
	if !ok {
		return nil
	}
	if f.node.Kind != yaml.SequenceNode {
		*s.problems = append(*s.problems, f.problem("must be a list"))
		return nil
	}
	out := make([]string, len(f.node.Content))
	for i, item := range f.node.Content {
		out[i] = s.scalar(field{place{item.Line, f.field + "[" + strconv.Itoa(i) + "]"}, item})
	}
	return out
}

// labels reads a mapping of strings.
func (s *section) labels(name string) map[string]string {
	f, ok := s.ask(name)
	if !ok {
		return nil
	}
	labels := newSection(f.node, f.place, s.problems)
	out := map[string]string{}
	for key := range labels.fields {
		out[key] = labels.text(key)
	}
	return out
}

// section reads a mapping; ok says that it is there.
func (s *section) section(name string) (sub *section, ok bool) {
	f, ok := s.ask(name)
	return newSection(f.node, s.at(name), s.problems), ok
}

// sections reads a list of mappings.
func (s *section) sections(name string) []*section {
	f, ok := s.ask(name)
	if !ok {
		return nil
	}
	if f.node.Kind != yaml.SequenceNode {
		*s.problems = append(*s.problems, f.problem("must be a list"))
		return nil
	}
	out := make([]*section, len(f.node.Content))
	for i, item := range f.node.Content {
		out[i] = newSection(item, place{item.Line, f.field + "[" + strconv.Itoa(i) + "]"}, s.problems)
	}
	return out
}

// secret reads a secret that stands in the file under name, or in a file or
// an environment variable that name_file or name_env gives.
func (s *section) secret(name string, required bool) Secret {
	v := Secret{place: s.at(name), Env: s.text(name + "_env"), File: s.text(name + "_file")}
	if text := s.text(name); text != "" {
		v.Value = secret.New(text)
	}
	given := 0
	for _, is := range []bool{!v.Value.IsEmpty(), v.Env != "", v.File != ""} {
		if is {
			given++
		}
	}
	if given > 1 || given == 0 && required {
		*s.problems = append(*s.problems, v.problem("needs exactly one of %s, %s_env and %s_file", name, name, name))
	}
	return v
}

// secretText reads a required secret that stands in the file itself.
func (s *section) secretText(name string) secret.Value {
	return secret.New(s.required(name))
}
