package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"photovault/api/client"
)

// passphrase unlocks the key-encryption key file, if it has one.
func passphrase() []byte { return []byte(os.Getenv("PHOTOVAULT_KEK_PASSPHRASE")) }

// connect makes a client from client.json, the flags and the environment.
func (r *run) connect() (*client.Client, *settings, error) {
	conf, err := home(r.Home).loadSettings()
	if err != nil {
		return nil, nil, err
	}
	if r.Server != "" {
		conf.Server = r.Server
	}
	token := os.Getenv("PHOTOVAULT_TOKEN")
	if r.TokenFile != "" {
		b, err := os.ReadFile(r.TokenFile)
		if err != nil {
			return nil, nil, err
		}
		token = string(b)
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return nil, nil, misuse("no token: set PHOTOVAULT_TOKEN or give --token-file (an administrator makes one with: photovault user add)")
	}
	c, err := client.New(conf.Server, token, []byte(conf.CA))
	return c, conf, err
}

// get, post and delete make one call to the service.
func (r *run) get(path string, out any) error { return r.call("GET", path, nil, out) }

func (r *run) post(path string, in, out any) error { return r.call("POST", path, in, out) }

func (r *run) delete(path string, out any) error { return r.call("DELETE", path, nil, out) }

func (r *run) call(method, path string, in, out any) error {
	c, _, err := r.connect()
	if err != nil {
		return err
	}
	return c.Call(r.ctx, method, path, in, out)
}

func (r *run) printJSON(v any) error {
	e := json.NewEncoder(r.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows under a header, or the value as JSON.
func (r *run) table(v any, header string, rows [][]string) error {
	if r.JSON {
		return r.printJSON(v)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(r.out, "none")
		return err
	}
	w := tabwriter.NewWriter(r.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = plain(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// plain keeps what somebody else wrote from making lines or colours of its own
// in a listing.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// say prints a sentence, or the value as JSON.
func (r *run) say(v any, format string, args ...any) error {
	if r.JSON {
		return r.printJSON(v)
	}
	_, err := fmt.Fprintf(r.out, format+"\n", args...)
	return err
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

func dayOf(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return day(*t)
}

// parseDay reads a date or an RFC 3339 instant; a date is its first moment, UTC.
func parseDay(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, misuse(fmt.Sprintf("%q is no date: write 2027-01-31 or 2027-01-31T15:04:05Z", s))
	}
	return t, nil
}
