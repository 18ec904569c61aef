package siteconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/tailscale/hujson"
)

// Settings is what the appliance needs to know of a site configuration.
type Settings struct {
	MinPassword int      // characters
	Builtin     bool     // people can sign in with a password
	Keys        []string // what it says anything of, in its order
}

// defaultMinPassword holds when the site says nothing. src: sourcegraph: internal/conf/computed.go (AuthMinPasswordLength)
const defaultMinPassword = 12

// Check finds every fault of a site configuration that can be seen without the product's own schema, each with its line and column: no JSON with comments
// and trailing commas, no object, a key said twice, and known settings of a wrong kind. What only the product can judge it judges when it reads it.
func Check(contents string) (Settings, error) {
	value, err := hujson.Parse([]byte(contents))
	if err != nil {
		return Settings{}, fmt.Errorf("not JSON: %w", err)
	}
	top, ok := value.Value.(*hujson.Object)
	if !ok {
		return Settings{}, errors.New("not an object: it must begin with {; an empty one is {}")
	}
	faults := twice(contents, &value)
	checks := known()
	s := Settings{MinPassword: defaultMinPassword, Builtin: true}
	for _, m := range top.Members {
		name := m.Name.Value.(hujson.Literal).String()
		s.Keys = append(s.Keys, name)
		if check := checks[name]; check != nil {
			if err := check(&s, plain(m.Value)); err != nil {
				faults = append(faults, fmt.Errorf("%s: %s %w", place(contents, m.Value.StartOffset), name, err))
			}
		}
	}
	return s, errors.Join(faults...)
}

// known are settings whose kind is the same in all releases. src: sourcegraph: schema/site.schema.json
func known() map[string]func(*Settings, []byte) error {
	return map[string]func(*Settings, []byte) error{
		"auth.minPasswordLength": func(s *Settings, v []byte) error {
			var n int
			if err := json.Unmarshal(v, &n); err != nil {
				return errors.New("must be a whole number")
			}
			if n > 0 {
				s.MinPassword = n
			}
			return nil
		},
		"auth.providers": func(s *Settings, v []byte) error {
			var list []struct {
				Type string `json:"type"`
			}
			if err := json.Unmarshal(v, &list); err != nil {
				return errors.New(`must be a list of objects, each with a "type"`)
			}
			s.Builtin = false
			for i, p := range list {
				if p.Type == "" {
					return fmt.Errorf(`[%d] must have a "type", such as "builtin"`, i)
				}
				s.Builtin = s.Builtin || p.Type == "builtin"
			}
			return nil
		},
		"externalURL": func(_ *Settings, v []byte) error {
			var text string
			if err := json.Unmarshal(v, &text); err != nil {
				return errors.New("must be a text")
			}
			u, err := url.Parse(text)
			if text != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
				return fmt.Errorf("%q must be an address such as https://code.example.com", text)
			}
			return nil
		},
		"email.smtp": func(_ *Settings, v []byte) error {
			var smtp struct {
				Host *string `json:"host"`
				Port *int    `json:"port"`
			}
			if err := json.Unmarshal(v, &smtp); err != nil || smtp.Host == nil || smtp.Port == nil {
				return errors.New("must be an object with a text host and a number port")
			}
			return nil
		},
		"email.address": isText,
		"licenseKey":    isText,
	}
}

func isText(_ *Settings, v []byte) error {
	var text string
	if json.Unmarshal(v, &text) != nil {
		return errors.New("must be a text")
	}
	return nil
}

// twice finds keys that an object says more than once: of two, the product takes one without a word.
func twice(contents string, value *hujson.Value) (faults []error) {
	for v := range value.All() {
		object, ok := v.Value.(*hujson.Object)
		if !ok {
			continue
		}
		seen := map[string]int{}
		for _, m := range object.Members {
			name := m.Name.Value.(hujson.Literal).String()
			if first, is := seen[name]; is {
				faults = append(faults, fmt.Errorf("%s: %s was said before, at %s", place(contents, m.Name.StartOffset), name, place(contents, first)))
			}
			seen[name] = m.Name.StartOffset
		}
	}
	return faults
}

// plain is a value in standard JSON.
func plain(v hujson.Value) []byte {
	v = v.Clone()
	v.Standardize()
	return v.Pack()
}

// place is where an offset lies, for people: line 3, column 7.
func place(contents string, offset int) string {
	before := []byte(contents)[:offset]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, offset-bytes.LastIndexByte(before, '\n'))
}
