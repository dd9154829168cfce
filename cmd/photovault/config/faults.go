package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Code is the kind of a fault, stable for machines.
type Code string

// The kinds of fault.
const (
	NotYAML        Code = "not_yaml"        // the file cannot be read as one YAML document
	TooLarge       Code = "too_large"       // the file has more than MaxSize bytes
	Unreadable     Code = "unreadable"      // a file or folder is missing, or this user may not read it
	UnknownSetting Code = "unknown_setting" // no such setting
	Duplicate      Code = "duplicate"       // a setting stands twice, or a secret is given in two ways
	WrongKind      Code = "wrong_kind"      // text where a number belongs, and the like
	SecretInFile   Code = "secret_in_file"  // a secret stands in the file itself
	Missing        Code = "missing"         // what must be given is not
	ChooseOne      Code = "choose_one"      // none or several of what excludes another
	Invalid        Code = "invalid"         // the value cannot be
	PlainText      Code = "plain_text"      // a connection without TLS, or with less than it must have
	RelativePath   Code = "relative_path"   // a path that depends on where the service is started
	NotPrivate     Code = "not_private"     // a secret that others can read or change, or that belongs to another user
	NotProtected   Code = "not_protected"   // others can change what the service trusts
	InsideData     Code = "inside_data"     // a copy of the data would hold its own key, secret or checkpoint
	SamePath       Code = "same_path"       // two settings name one file
	BadCertificate Code = "bad_certificate" // of the wrong form, host or key
	WeakTLS        Code = "weak_tls"        // a key or signature that is too weak
	Expired        Code = "expired"         // a certificate that is not valid now
	SwapEnabled    Code = "swap_enabled"    // memory could be written to a disk in clear
	NoCredentials  Code = "no_credentials"  // $CREDENTIALS_DIRECTORY is used and not set
)

// Fault is one thing that is wrong. It shows nothing of a secret.
type Fault struct {
	Path     string `json:"path,omitempty"` // the setting, such as objects.s3.endpoint; empty: the file
	Line     int    `json:"line,omitempty"` // of the file, from 1; 0: unknown
	Code     Code   `json:"code"`
	Sentence string `json:"sentence"` // what is wrong and what to do
}

// String is the fault for a person.
func (f Fault) String() string {
	where := f.Path
	if where == "" {
		where = "file"
	}
	if f.Line > 0 {
		where = fmt.Sprintf("line %d, %s", f.Line, where)
	}
	return where + ": " + f.Sentence
}

// Faults is everything that is wrong with a configuration, by line.
type Faults []Fault

func (f Faults) Error() string {
	lines := []string{"the configuration is refused:"}
	for _, x := range f {
		lines = append(lines, "  "+x.String())
	}
	return strings.Join(lines, "\n")
}

// err is nil where nothing is wrong.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// report collects faults and knows where settings stand.
type report struct {
	faults Faults
	lines  map[string]int
}

func (r *report) add(path string, code Code, format string, args ...any) {
	r.faults = append(r.faults, Fault{path, r.line(path), code, fmt.Sprintf(format, args...)})
}

// line is that of the setting, or of what it would stand in.
func (r *report) line(path string) int {
	for path != "" {
		if n := r.lines[path]; n > 0 {
			return n
		}
		cut := strings.LastIndexByte(path, '.')
		path = path[:max(cut, 0)]
	}
	return 0
}

// faulty reports whether something was found at the setting or inside of it.
func (r *report) faulty(path string) bool {
	return slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Path == path || strings.HasPrefix(f.Path, path+".") })
}

// sorted is what was found, by line, each once.
func (r *report) sorted() Faults {
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Path, b.Path))
	})
	return slices.Compact(r.faults)
}
