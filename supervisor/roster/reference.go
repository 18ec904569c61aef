package roster

import "github.com/sourcegraph/appliance/supervisor/roster/keys"

// Schema is the JSON Schema of appliance.yaml.
func Schema() map[string]any { return keys.Schema(Site{}, "appliance.yaml") }

// Reference is the page of all keys, REFERENCE.md.
func Reference() string {
	return `# Keys of the configuration

Generated from the types that the configuration is read into; a test holds it. ` + "`sourcegraph config explain KEY`" + ` says what is in force and where it comes from.
A file of ` + "`services.d/`" + ` defines services of the site's own with the keys below ` + "`services.<name>`" + `, without ` + "`services.`" + ` before them.

` + keys.Reference(Site{})
}
