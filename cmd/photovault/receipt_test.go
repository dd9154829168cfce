package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photovault/imaging/specimen"
)

// The certificate that a picture is unaltered: with a receipt, the two files
// and the practice's key it is checked without the service.
func TestAReceiptIsVerifiedOffline(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-RECEIPT")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	keep := func(name string, b []byte) {
		if err := os.WriteFile(at(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep("upload.jpg", specimen.JPEG(specimen.Full(300, 200, 1)))
	photo, _, _ := strings.Cut(v.must("provider", "put", at("upload.jpg"), "--patient", patient), " ")
	v.must("provider", "get", photo, "--purpose", "clinical", "--rendition", "original", "-o", at("original.jpg"))
	keep("receipt.json", []byte(v.must("provider", "photo", "receipt", photo, "--json")))
	conf, err := home(v.home).loadSettings()
	if err != nil {
		t.Fatal(err)
	}
	key := base64.StdEncoding.EncodeToString(conf.EvidenceKey)
	offline := func(receipt, key, input, output string) (string, bool) {
		out, errs, err := v.run("provider", "photo", "receipt", "--receipt", at(receipt), "--evidence-key", key, "--verify", "--input", at(input), "--output", at(output))
		return out + errs, err == nil
	}
	v.stop()
	if out, ok := offline("receipt.json", key, "upload.jpg", "original.jpg"); !ok || strings.Count(out, "matches") != 2 || !strings.Contains(out, "unaltered") {
		t.Errorf("right: %v\n%s", ok, out)
	}
	if out, ok := offline("receipt.json", key, "original.jpg", "original.jpg"); ok || !strings.Contains(out, "other bytes, though they show") {
		t.Errorf("another input with the same pixels: %v\n%s", ok, out)
	}
	if out, ok := offline("receipt.json", strings.Repeat("A", 43)+"=", "upload.jpg", "original.jpg"); ok || !strings.Contains(out, "signature") {
		t.Errorf("another key: %v\n%s", ok, out)
	}
	genuine, err := os.ReadFile(at("receipt.json"))
	if err != nil {
		t.Fatal(err)
	}
	keep("forged.json", []byte(strings.Replace(string(genuine), `"had_gps": true`, `"had_gps": false`, 1)))
	if out, ok := offline("forged.json", key, "upload.jpg", "original.jpg"); ok || !strings.Contains(out, "signature") {
		t.Errorf("a forged receipt: %v\n%s", ok, out)
	}
	for name, said := range map[string]string{"a field that nobody signed": `"note": "unaltered", "had_gps": true`,
		"a field twice": `"had_gps": false, "had_gps": true`, "a field in another spelling": `"HAD_GPS": true`} {
		keep("more.json", []byte(strings.Replace(string(genuine), `"had_gps": true`, said, 1)))
		if out, ok := offline("more.json", key, "upload.jpg", "original.jpg"); ok || !strings.Contains(out, "more than was signed") {
			t.Errorf("%s: %v\n%s", name, ok, out)
		}
	}
	keep("spaced.json", []byte(strings.ReplaceAll(string(genuine), "\n", "\r\n\t")))
	if out, ok := offline("spaced.json", key, "upload.jpg", "original.jpg"); !ok {
		t.Errorf("with other spaces: %s", out)
	}
	var fields map[string]any
	if err := json.Unmarshal(genuine, &fields); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	keep("sorted.json", sorted)
	if out, ok := offline("sorted.json", key, "upload.jpg", "original.jpg"); !ok {
		t.Errorf("in another order: %s", out)
	}
}
