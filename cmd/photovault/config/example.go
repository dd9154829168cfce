package config

import (
	_ "embed"
	"strings"

	"photovault/vault/id"
)

// Kind is a way to run the service.
type Kind string

// The ways. Together their examples show every setting.
const (
	Production Kind = "production" // key service, object store and database are servers
	OneMachine Kind = "embedded"   // a key file, a folder and an encrypted database file
)

var (
	//go:embed production.yaml
	production string
	//go:embed embedded.yaml
	embedded string
)

// Example is a complete file with every setting of its kind explained, for the
// practice. Once the files that it names are there it has no faults.
func Example(k Kind, p id.Practice) string {
	text := production
	if k == OneMachine {
		text = embedded
	}
	return strings.ReplaceAll(text, "PRACTICE", string(p))
}
