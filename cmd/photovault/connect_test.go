package main

import (
	"bytes"
	"strings"
	"testing"
)

// What a client wrote into a field forges no row and no colour in a listing.
func TestATableHasOneLineARow(t *testing.T) {
	var out bytes.Buffer
	r := &run{out: &out}
	if err := r.table(nil, "A\tB", [][]string{{"x\n1\tforged\trow", "\x1b[31mred\u202e"}, {"y", "z"}}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 || strings.ContainsAny(out.String(), "\x1b\t\u202e") {
		t.Errorf("%d lines: %q", lines, out.String())
	}
}
