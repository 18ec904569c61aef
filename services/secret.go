package services

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Generated are the secrets that the appliance makes itself, with what each one opens.
func Generated() map[string]string {
	return map[string]string{
		"executor": "what executors sign in with; executors.accessToken of the site configuration must equal it",
		"grafana":  "password of Grafana's user admin",
		"minio":    "secret key of MinIO's user sourcegraph",
		"postgres": "password of PostgreSQL's superuser sg",
		"redis":    "password of both Redis servers",
	}
}

// A secret is a file in secrets/, or the file of an absolute path.
var secretPattern = regexp.MustCompile(`@secret\{([A-Za-z0-9._-]+|/[^{}]+?)(:url|:json)?\}`)

// SecretRef is how a plan refers to a secret.
func SecretRef(name string) string { return "@secret{" + name + "}" }

// refs are references to the secrets of these names and to all generated ones.
func refs(names []string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		out[name] = SecretRef(name)
	}
	for name := range Generated() {
		out[name] = SecretRef(name)
	}
	return out
}

// SecretURLRef is how a plan refers to a secret as a part of a URL, where its content must be escaped.
func SecretURLRef(name string) string { return "@secret{" + name + ":url}" }

// SecretJSONRef is how a plan refers to a secret within a text of JSON.
func SecretJSONRef(name string) string { return "@secret{" + name + ":json}" }

// SecretsOf returns the names of the secrets that the plan needs, sorted.
func SecretsOf(p Plan) []string {
	names := map[string]bool{}
	for i := range p.Instances {
		eachSecretText(&p.Instances[i], func(text string) (string, error) {
			for _, m := range secretPattern.FindAllStringSubmatch(text, -1) {
				names[m[1]] = true
			}
			return text, nil
		})
		for _, name := range p.Instances[i].Ready.secrets() {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Expand returns the instance with every reference replaced by the secret's content, just before it is started.
// The error names the instance and the secret that is missing, never a content.
func Expand(inst Instance, secrets map[string]string) (Instance, error) {
	inst.Env = slices.Clone(inst.Env)
	inst.Files = slices.Clone(inst.Files)
	inst.Prepare = slices.Clone(inst.Prepare)
	for i := range inst.Prepare {
		inst.Prepare[i].Steps = slices.Clone(inst.Prepare[i].Steps)
	}
	err := eachSecretText(&inst, func(text string) (string, error) { return expandText(text, secrets) })
	if err != nil {
		return Instance{}, fmt.Errorf("expand the secrets of %s: %w", inst.Name(), err)
	}
	return inst, nil
}

// eachSecretText calls f for every text that may hold a secret, and stores what it returns when that differs.
func eachSecretText(inst *Instance, f func(string) (string, error)) error {
	texts := []*string{}
	for i := range inst.Env {
		texts = append(texts, &inst.Env[i])
	}
	for i := range inst.Files {
		texts = append(texts, &inst.Files[i].Content)
	}
	for i := range inst.Prepare {
		for j := range inst.Prepare[i].Steps {
			texts = append(texts, &inst.Prepare[i].Steps[j].Stdin)
		}
	}
	for _, text := range texts {
		to, err := f(*text)
		if err != nil {
			return err
		}
		if to != *text {
			*text = to
		}
	}
	return nil
}

func expandText(text string, secrets map[string]string) (string, error) {
	if !strings.Contains(text, "@secret{") {
		return text, nil
	}
	var missing error
	out := secretPattern.ReplaceAllStringFunc(text, func(ref string) string {
		parts := secretPattern.FindStringSubmatch(ref)
		content, ok := secrets[parts[1]]
		if !ok {
			missing = fmt.Errorf("there is no secret %q", parts[1])
		}
		switch parts[2] {
		case ":url":
			return url.PathEscape(content)
		case ":json":
			quoted, err := json.Marshal(content)
			if err != nil {
				missing = fmt.Errorf("write the secret %q as JSON: %w", parts[1], err)
				return ""
			}
			return string(quoted[1 : len(quoted)-1])
		}
		return content
	})
	return out, missing
}

// secrets names what a probe signs in with.
func (p *Probe) secrets() (names []string) {
	if p == nil {
		return nil
	}
	for _, d := range p.Databases {
		names = append(names, d.PasswordSecret)
	}
	if p.RedisServer != nil {
		names = append(names, p.RedisServer.PasswordSecret)
	}
	if p.Storage != nil {
		names = append(names, p.Storage.SecretKeySecret, p.Storage.KeySecret)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}
