package config

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decode fills c from the text of one YAML document. Go's decoder would show
// values in its errors and stop at some: this walk names settings and lines,
// goes on after each fault and shows no value.
func decode(text []byte, c *Config) *report {
	r := &report{lines: map[string]int{}}
	if len(text) > MaxSize {
		r.add("", TooLarge, "it has more than %d bytes, which no configuration needs", MaxSize)
		return r
	}
	var document yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		r.faults = append(r.faults, Fault{"", syntaxLine(err), NotYAML, "this is not YAML; look at indentation, quotes and colons here and above"})
		return r
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		r.add("", NotYAML, "it holds more than one document; remove what follows the line ---")
	}
	if len(document.Content) == 0 {
		r.add("", Missing, "it is empty; make one with: photovault config example")
		return r
	}
	r.value(document.Content[0], reflect.ValueOf(c).Elem(), "")
	return r
}

var syntaxError = regexp.MustCompile(`line (\d+)`)

func syntaxLine(err error) int {
	if m := syntaxError.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return n
		}
	}
	return 0
}

// value decodes a node into a setting of the kind that v is.
func (r *report) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		r.at(n, path, WrongKind, "anchors and aliases are not used here; write the value out")
		return
	}
	if n.Kind == yaml.ScalarNode && looksSecret(n.Value) {
		r.at(n, path, SecretInFile, "this looks like a secret; %s", secretElsewhere(""))
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" { // a setting with nothing behind it is not given
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case v.Kind() == reflect.Struct:
		r.settings(n, v, path)
	case v.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			r.at(n, path, WrongKind, "write a list: [first, second]")
			return
		}
		for _, item := range n.Content {
			e := reflect.New(v.Type().Elem()).Elem()
			r.value(item, e, path)
			v.Set(reflect.Append(v, e))
		}
	case n.Kind != yaml.ScalarNode:
		r.at(n, path, WrongKind, "write one value, not a list or group of settings")
	default:
		if what := scalar(n, v); what != "" {
			r.at(n, path, WrongKind, "write %s", what)
		}
	}
}

// scalar sets v, or returns what belongs there.
func scalar(n *yaml.Node, v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(n.Value)
		if err != nil {
			return "a length of time with its unit, such as 3s or 500ms"
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.Int:
		i, err := strconv.ParseInt(n.Value, 10, 32)
		if n.Tag != "!!int" || err != nil {
			return "a whole number"
		}
		v.SetInt(i)
	case v.Kind() == reflect.Bool:
		if n.Tag != "!!bool" {
			return "true or false"
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case n.Tag != "!!str" && n.Tag != "!!int" && n.Tag != "!!float":
		return "text, in quotes where YAML would read something else"
	default:
		v.SetString(n.Value)
	}
	return ""
}

// settings decodes a group.
func (r *report) settings(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		r.at(n, path, WrongKind, "write settings, each on its line: name: value")
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		where := join(path, key.Value)
		field, known := fields[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.Anchor != "" || !known:
			r.unknown(key, path, fields)
		case seen[key.Value]:
			r.at(key, where, Duplicate, "this setting stands twice; keep one")
		default:
			seen[key.Value], r.lines[where] = true, key.Line
			r.value(value, v.Field(field), where)
		}
	}
}

// unknown says of a name that is no setting what was probably meant. The name
// itself is shown only if it can hardly be a secret.
func (r *report) unknown(key *yaml.Node, path string, fields map[string]int) {
	name, where := key.Value, path
	if key.Kind != yaml.ScalarNode || !plainName.MatchString(name) {
		r.at(key, where, UnknownSetting, "there is no such setting here; see: photovault config example")
		return
	}
	where = join(path, name)
	switch {
	case slices.Contains(secretNames, name):
		r.at(key, where, SecretInFile, "no secret stands in this file; %s", secretElsewhere(path))
	case slices.Contains(weakeners, name):
		r.at(key, where, PlainText, "there is no such switch: every connection is TLS 1.2 or above with the certificate verified; remove it, and name the authority's file with ca")
	default:
		if near := nearest(name, fields); near != "" {
			r.at(key, where, UnknownSetting, "there is no such setting; did you mean %s?", near)
			return
		}
		r.at(key, where, UnknownSetting, "there is no such setting; see: photovault config example")
	}
}

func (r *report) at(n *yaml.Node, path string, code Code, format string, args ...any) {
	r.add(path, code, format, args...)
	r.faults[len(r.faults)-1].Line = n.Line
}

var plainName = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)

// secretNames and weakeners are what people write who know other products.
var (
	secretNames = []string{"password", "passphrase", "secret", "secret_key", "secret_access_key", "access_key", "access_key_id", "session_token",
		"secret_id", "token", "private_key", "kek", "dsn"}
	weakeners = []string{"sslmode", "ssl", "tls", "insecure", "insecure_skip_verify", "tls_skip_verify", "skip_verify", "verify", "min_version",
		"tls_min_version", "use_ssl", "secure"}
)

// looksSecret finds what should not have been pasted here, whatever its setting.
func looksSecret(s string) bool {
	return strings.Contains(s, "PRIVATE KEY-----") || strings.HasPrefix(s, "hvs.") || strings.HasPrefix(s, "hvb.") || strings.HasPrefix(s, "pvt_") || strings.HasPrefix(s, "whsec_")
}

func secretElsewhere(path string) string {
	const file = "take it out, replace it, write the new one into a file of mode 0600"
	switch path {
	case "catalog.postgres":
		return file + " and name that with password_file (or give $" + EnvPassword + ")"
	case "objects.s3":
		return file + " and name that with credentials_file (or give $" + EnvAccessKey + " and $" + EnvSecretKey + ")"
	case "keys.local":
		return file + " and name that with passphrase_file (or give $" + EnvPassphrase + ")"
	case "keys.transit":
		return file + " and name that with token_file, or use approle"
	case "notify.marketing", "notify.alerts":
		return file + " and name that with secret_file"
	case "keys.transit.approle":
		return file + " and name that with secret_id_file"
	}
	return file + " and name that file"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fieldsOf are the settings of a group and their fields.
func fieldsOf(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
		}
	}
	return fields
}

// nearest is the setting that a slip of the hand or two away.
func nearest(name string, fields map[string]int) (best string) {
	least := 3
	for f := range fields {
		if d := distance(name, f); d < least || d == least && best != "" && f < best {
			best, least = f, d
		}
	}
	return best
}

// distance is Levenshtein's, over bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
