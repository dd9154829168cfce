package main

import (
	"strings"
	"testing"
)

// Every rejection tells a person what to do next.
func TestRejectionsAreExplained(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-REJ")
	photo := generatedPhoto(t)
	for code, file := range map[string][]byte{
		"unsupported_format": []byte("and so on, not a photo"),
		"unsupported_gif":    []byte("GIF89a and so on, not a JPEG"),
		"truncated":          photo[:len(photo)/3],
	} {
		_, stderr, err := v.run("provider", "put", photoFile(t, file), "--patient", patient)
		if err == nil || !strings.Contains(stderr, code) || !strings.Contains(stderr, advice[code]) {
			t.Errorf("%s: %v %s", code, err, stderr)
		}
	}
}
