package sealer_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/vault/canon"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

// object is the list as a hostile server may send it.
type object = map[string]any

func (c *clinic) served(t testing.TB) object {
	t.Helper()
	b, err := json.Marshal(c.list)
	must(t, err)
	var o object
	must(t, json.Unmarshal(b, &o))
	return o
}

func keyOf(list object, i int) object { return list["keys"].([]any)[i].(object) }

// signed signs a list whose keys envelope.Sign would not.
func (c *clinic) signed(keys ...envelope.PublicKey) object {
	list := []any{}
	for _, k := range keys {
		list = append(list, object{"id": string(k.ID), "suite": float64(k.Suite), "public_key": base64.StdEncoding.EncodeToString(k.Key),
			"seal_until": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	}
	return c.resign(object{"practice": string(c.practice), "issued_at": "2026-03-01T12:00:00Z", "keys": list})
}

// resign signs a list as it stands, whatever stands there.
func (c *clinic) resign(list object) object {
	fields := []string{list["practice"].(string), list["issued_at"].(string)}
	for _, k := range list["keys"].([]any) {
		k := k.(object)
		fields = append(fields, k["id"].(string), strconv.Itoa(int(k["suite"].(float64))), k["public_key"].(string), k["seal_until"].(string))
	}
	list["signature"] = ed25519.Sign(c.signer, canon.Encode("photovault/upload-keys/v1", fields...))
	return list
}

type attempt struct {
	Enrolment enrolment `json:"enrolment"`
	Options   object    `json:"options,omitempty"`
}

func TestNothingIsSealedToAKeyThatIsNotSignedAndCurrent(t *testing.T) {
	a := newApp(t)
	c := newClinic(t, time.Now().Add(time.Hour))
	other := newClinic(t, time.Now().Add(time.Hour))
	past := newClinic(t, time.Now().Add(-time.Second))
	p256 := slices.IndexFunc(c.list.Keys, func(k envelope.PublicKey) bool { return k.Suite == envelope.P256 })
	mlkem := 1 - p256

	names, attempts, want := []string{}, []attempt{}, []string{}
	try := func(name, code string, e enrolment, options object) {
		names, attempts, want = append(names, name), append(attempts, attempt{e, options}), append(want, code)
	}
	altered := func(name string, change func(object)) {
		list := c.served(t)
		change(list)
		try(name, "signature_invalid", enrolment{list, c.pinned(), c.practice}, nil)
	}
	try("as it is", "none", c.enrolment(), nil)
	try("after a trip through JSON", "none", enrolment{c.served(t), c.pinned(), c.practice}, nil)
	try("P-256", "none", c.enrolment(), object{"suite": envelope.P256})

	altered("another practice's name on it", func(l object) { l["practice"] = other.practice })
	altered("a practice of any text", func(l object) { l["practice"] = "x" })
	altered("issued later", func(l object) { l["issued_at"] = "2036-03-01T12:00:00Z" })
	altered("another key's id", func(l object) { keyOf(l, 0)["id"] = keyOf(l, 1)["id"] })
	altered("an id of any text", func(l object) { keyOf(l, 0)["id"] = "../x" })
	altered("a key replaced", func(l object) {
		keyOf(l, mlkem)["public_key"] = base64.StdEncoding.EncodeToString(other.list.Keys[mlkem].Key)
	})
	altered("a key in another spelling", func(l object) { keyOf(l, 0)["public_key"] = keyOf(l, 0)["public_key"].(string) + "\n" })
	altered("no key", func(l object) { delete(keyOf(l, 0), "public_key") })
	altered("sealed to for longer", func(l object) { keyOf(l, 0)["seal_until"] = "2099-01-01T00:00:00Z" })
	altered("the same instant in another zone", func(l object) { keyOf(l, 0)["seal_until"] = "2099-01-01T00:00:00+00:00" })
	altered("another suite", func(l object) { keyOf(l, 0)["suite"] = 7 })
	altered("a suite as text", func(l object) { keyOf(l, 0)["suite"] = strconv.Itoa(int(c.list.Keys[0].Suite)) })
	altered("a key left out", func(l object) { l["keys"] = l["keys"].([]any)[1:] })
	altered("no keys", func(l object) { l["keys"] = nil })
	altered("a key that is null", func(l object) { l["keys"] = append(l["keys"].([]any), nil) })
	altered("a key twice", func(l object) { l["keys"] = append(l["keys"].([]any), keyOf(l, 0)) })
	altered("another order", func(l object) { slices.Reverse(l["keys"].([]any)) })
	altered("keys without end", func(l object) { l["keys"] = make([]any, 100_000) })
	altered("no signature", func(l object) { delete(l, "signature") })
	altered("another list's signature", func(l object) { l["signature"] = other.list.Signature })
	altered("a longer signature", func(l object) { l["signature"] = append(slices.Clone(c.list.Signature), 0) })
	for _, list := range []any{nil, 5, "x", []int{}, object{}} {
		try("no list at all", "signature_invalid", enrolment{list, c.pinned(), c.practice}, nil)
	}
	for bit := range 8 * ed25519.SignatureSize {
		if bit%37 == 0 {
			altered("a bit of the signature", func(l object) {
				s := slices.Clone(c.list.Signature)
				s[bit/8] ^= 1 << (bit % 8)
				l["signature"] = s
			})
		}
	}
	malformed := func(name string, change func(object)) {
		list := c.served(t)
		change(list)
		try(name+", signed", "signature_invalid", enrolment{c.resign(list), c.pinned(), c.practice}, nil)
	}
	try("signed once more", "none", enrolment{c.resign(c.served(t)), c.pinned(), c.practice}, nil)
	malformed("a key in another spelling", func(l object) { // 1216 and 65 bytes leave bits over
		key := []byte(keyOf(l, p256)["public_key"].(string))
		key[len(key)-2]++
		keyOf(l, p256)["public_key"] = string(key)
	})
	malformed("a key on two lines", func(l object) { keyOf(l, 0)["public_key"] = keyOf(l, 0)["public_key"].(string) + "\n" })
	malformed("a key of any text", func(l object) { keyOf(l, 0)["public_key"] = "!" })
	malformed("an id of version 7", func(l object) { keyOf(l, 0)["id"] = "0190a2b4-5c6d-7e8f-8abc-0123456789ab" })
	malformed("an id in capitals", func(l object) { keyOf(l, 0)["id"] = "5EED0000-0000-4000-8000-00000000000A" })
	malformed("an id and more", func(l object) { keyOf(l, 0)["id"] = keyOf(l, 0)["id"].(string) + "\n" })
	malformed("a time of another zone", func(l object) { keyOf(l, 0)["seal_until"] = "2099-01-01T00:00:00+01:00" })
	malformed("no such day", func(l object) { keyOf(l, 0)["seal_until"] = "2099-13-01T00:00:00Z" })
	malformed("issued at no time", func(l object) { l["issued_at"] = "yesterday" })
	malformed("a suite of 17 bits", func(l object) { keyOf(l, 0)["suite"] = 65536.0 })
	malformed("65 keys", func(l object) { l["keys"] = slices.Repeat(l["keys"].([]any)[:1], 65) })
	altered("a key longer than a field", func(l object) { keyOf(l, 0)["public_key"] = strings.Repeat("AAAA", 16384) })
	try("another key pinned", "signature_invalid", enrolment{c.list, other.pinned(), c.practice}, nil)
	try("a short key pinned", "signature_invalid", enrolment{c.list, c.pinned()[1:], c.practice}, nil)
	try("nothing pinned", "signature_invalid", enrolment{c.list, nil, c.practice}, nil)
	try("the list of another practice, well signed", "practice_mismatch", enrolment{c.list, c.pinned(), other.practice}, nil)

	try("only expired keys", "no_current_key", past.enrolment(), nil)
	try("at the very end", "no_current_key", c.enrolment(), object{"now": c.list.Keys[0].SealUntil})
	try("a millisecond before", "none", c.enrolment(), object{"now": c.list.Keys[0].SealUntil.Add(-time.Millisecond)})
	try("an empty list", "no_current_key", enrolment{c.signed(), c.pinned(), c.practice}, nil)
	try("no key of the suite", "no_current_key", enrolment{c.signed(c.list.Keys[p256]), c.pinned(), c.practice}, nil)
	try("now that is no time", "bad_argument", c.enrolment(), object{"now": "never"})
	for _, s := range []any{7, 0, "0x647a", "MLKEM768-X25519", -1, 1.5} {
		try("an unknown suite", "suite_unknown", c.enrolment(), object{"suite": s})
	}
	for _, bad := range []any{"x", "", 5, "5EED0000-0000-4000-8000-000000000000"} {
		try("a capture that is no id", "bad_argument", c.enrolment(), object{"capture": bad})
	}
	try("a practice that is no id", "bad_argument", enrolment{c.list, c.pinned(), "x"}, nil)

	unusable := func(name string, s envelope.Suite, key []byte) {
		k := envelope.PublicKey{ID: id.New[id.UploadKey](), Suite: s, Key: key}
		try(name, "key_unusable", enrolment{c.signed(k), c.pinned(), c.practice}, object{"suite": s})
	}
	offCurve := slices.Clone(c.list.Keys[p256].Key)
	offCurve[40] ^= 1
	overflow := slices.Clone(c.list.Keys[mlkem].Key)
	for i := range overflow[:1152] {
		overflow[i] = 0xff
	}
	unusable("P-256, not on the curve", envelope.P256, offCurve)
	unusable("P-256, all zero", envelope.P256, make([]byte, 65))
	unusable("P-256, cut", envelope.P256, c.list.Keys[p256].Key[1:])
	unusable("P-256, compressed", envelope.P256, append([]byte{2}, c.list.Keys[p256].Key[1:33]...))
	unusable("P-256, the other suite's", envelope.P256, c.list.Keys[mlkem].Key)
	unusable("ML-KEM, cut", envelope.MLKEM768X25519, c.list.Keys[mlkem].Key[1:])
	unusable("ML-KEM, coefficients beyond the modulus", envelope.MLKEM768X25519, overflow)
	unusable("ML-KEM, with an X25519 key of low order", envelope.MLKEM768X25519, append(slices.Clone(c.list.Keys[mlkem].Key[:1184]), make([]byte, 32)...))

	type result struct{ Code, UploadKey string }
	results := run[[]result](a, attempts, "lists.mjs")
	if len(results) != len(attempts) {
		t.Fatalf("%d answers to %d attempts", len(results), len(attempts))
	}
	for i, r := range results {
		if r.Code != want[i] || (r.UploadKey == "") != (r.Code != "none") {
			t.Errorf("%s: %s, key %q; want %s", names[i], r.Code, r.UploadKey, want[i])
		}
	}
}

func TestTheKeyThatLastsLongestIsPicked(t *testing.T) {
	a := newApp(t)
	c := newClinic(t, time.Now())
	k := c.list.Keys[0]
	var all []envelope.PublicKey
	for _, hours := range []time.Duration{2, 30, -40, 7} {
		k.ID, k.SealUntil = id.New[id.UploadKey](), time.Now().Add(hours*time.Hour)
		all = append(all, k)
	}
	c.sign(t, all...)
	got := run[[]struct{ UploadKey id.UploadKey }](a, []attempt{{c.enrolment(), object{"suite": k.Suite}}}, "lists.mjs")
	if got[0].UploadKey != all[1].ID {
		t.Errorf("picked %q, want %q", got[0].UploadKey, all[1].ID)
	}
}

func TestSourcesThatMisbehaveAreRefusedByCode(t *testing.T) {
	a := newApp(t)
	c := newClinic(t, time.Now().Add(time.Hour))
	got := run[map[string]string](a, object{"folder": t.TempDir(), "enrolment": c.enrolment()}, "sources.mjs")
	want := map[string]string{
		"a Blob": "none", "a File": "none", "a stream": "none", "a stream with empty parts": "none", "an empty stream": "none",

		"a stream that ends early":                     "source_truncated",
		"an empty stream that should not be":           "source_truncated",
		"a stream that goes on":                        "source_too_long",
		"a stream that goes on after nothing":          "source_too_long",
		"a stream that breaks off":                     "source_unreadable",
		"a stream of text":                             "source_unreadable",
		"a stream without its size":                    "bad_argument",
		"a stream of half a byte":                      "bad_argument",
		"a stream of more than a container holds":      "too_large",
		"a Blob of another size":                       "bad_argument",
		"a string":                                     "bad_argument",
		"nothing":                                      "bad_argument",
		"a locked stream":                              "bad_argument",
		"a stream sealed twice":                        "source_consumed",
		"a stream sealed from the middle":              "not_seekable",
		"a slice of a stream":                          "not_seekable",
		"a file that changes its size":                 "source_changed",
		"a file that is cut":                           "source_truncated",
		"a file that gives more than was asked":        "source_changed",
		"a file of other bytes when it is read again":  "source_changed",
		"a file of other bytes, once refused":          "source_changed",
		"a file of other bytes, read twice at once":    "source_changed",
		"a file of other bytes, refused twice at once": "source_changed source_changed none",
		"a file on disk that grows":                    "source_unreadable",
		"a file on disk that is cut":                   "source_unreadable",
		"a read that fails once":                       "none",
		"a slice before the beginning":                 "range_invalid",
		"a slice after the end":                        "range_invalid",
		"a slice of nothing, after the end":            "range_invalid",
		"a slice backwards":                            "range_invalid",
		"a slice of half a byte":                       "range_invalid",
		"a slice of text":                              "range_invalid",
		"a slice of no number":                         "range_invalid",
		"parts from after the end":                     "range_invalid",
		"a size that is negative":                      "bad_argument",
		"a size of too much":                           "too_large",
		"a size of the most there may be":              "none",
		"a size in an unknown suite":                   "suite_unknown",
		"a slice after destroy":                        "destroyed",
		"more parts after destroy":                     "destroyed",
		"destroy cancels the stream":                   "true",
		"cancel cancels the stream":                    "true",
		"a stream after cancel":                        "destroyed",
		"a refusal leaves the stream unread":           "true",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The published surface is these names alone: no salt, key or ephemeral key
// can be given from outside. Key bytes and plaintext that the sealer held are
// overwritten when it is done with them.
func TestInternalsStayInsideAndBuffersAreOverwritten(t *testing.T) {
	a := newApp(t)
	c := newClinic(t, time.Now().Add(time.Hour))
	got := run[object](a, object{"enrolment": c.enrolment()}, "hygiene.mjs")
	if keys := got["keys"].(float64); keys < 2 {
		t.Errorf("%v keys were seen on their way into WebCrypto, want the input key and the chunk key", keys)
	}
	delete(got, "keys")
	want := object{
		"exports": []any{"MLKEM768_X25519", "P256", "SealerError", "fetchUploadKeys", "seal", "sealedSize", "verifyUploadKeys"},
		"deep":    "ERR_PACKAGE_PATH_NOT_EXPORTED", "left": 0.0, "plain": false, "extractable": 0.0,
		"insecure": "unsupported", "old": "unsupported", "nothing": []any{"bad_argument", "bad_argument", "bad_argument"},
	}
	if d := cmp.Diff(want, maps.Clone(got)); d != "" {
		t.Error(d)
	}
}
