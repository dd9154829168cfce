package envelope_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"photovault/vault/envelope"
	"photovault/vault/id"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func newSigner(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pinned(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// newList has, of each suite, a key to be sealed to for a day and one for ten.
func newList(t testing.TB, signer ed25519.PrivateKey) *envelope.SignedKeys {
	t.Helper()
	var keys []envelope.PublicKey
	for _, s := range suites {
		for _, days := range []int{10, 1} {
			k := newTablet(t, s).public()
			k.SealUntil = now.AddDate(0, 0, days)
			keys = append(keys, k)
		}
	}
	l, err := envelope.Sign(signer, id.New[id.Practice](), keys, now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// served returns the list after its trip through JSON.
func served(t testing.TB, l *envelope.SignedKeys) *envelope.SignedKeys {
	t.Helper()
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var got envelope.SignedKeys
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return &got
}

func TestServedListVerifies(t *testing.T) {
	signer := newSigner(t)
	l := newList(t, signer)
	got := served(t, l)
	if err := got.Verify(pinned(signer)); err != nil {
		t.Fatal(err)
	}
	if got.Practice != l.Practice || !got.IssuedAt.Equal(now.Truncate(time.Millisecond)) || len(got.Keys) != len(l.Keys) {
		t.Errorf("served as %+v", got)
	}
	// Another zone is the same instant.
	got.IssuedAt = got.IssuedAt.In(time.FixedZone("", 3600))
	if err := served(t, got).Verify(pinned(signer)); err != nil {
		t.Error(err)
	}
}

func TestPickTakesTheKeyThatLastsLongest(t *testing.T) {
	signer := newSigner(t)
	l := newList(t, signer)
	for _, x := range []struct {
		suite envelope.Suite
		days  int
		want  id.UploadKey
	}{
		{0, 0, l.Keys[0].ID},
		{envelope.MLKEM768X25519, 0, l.Keys[0].ID},
		{envelope.P256, 0, l.Keys[2].ID},
		{envelope.P256, 5, l.Keys[2].ID},
		{envelope.P256, 10, ""}, // the instant itself is too late
		{0, 11, ""},
		{0x0020, 0, ""},
	} {
		k, err := l.Pick(pinned(signer), x.suite, now.AddDate(0, 0, x.days))
		if k.ID != x.want || (x.want == "") != errors.Is(err, envelope.ErrNoKey) {
			t.Errorf("%s after %d days: %q, %v", x.suite, x.days, k.ID, err)
		}
	}
	empty, err := envelope.Sign(signer, l.Practice, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := served(t, empty).Pick(pinned(signer), 0, now); !errors.Is(err, envelope.ErrNoKey) {
		t.Errorf("empty list: %v", err)
	}
}

func TestPickedKeySealsAndOpens(t *testing.T) {
	signer := newSigner(t)
	for _, s := range suites {
		x := newTablet(t, s)
		k := x.public()
		k.SealUntil = now.AddDate(0, 1, 0)
		l, err := envelope.Sign(signer, x.practice, []envelope.PublicKey{k}, now)
		if err != nil {
			t.Fatal(err)
		}
		picked, err := served(t, l).Pick(pinned(signer), s, now)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w, err := envelope.Seal(&b, picked, x.practice, x.capture)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := x.open(&b); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestAlteredListIsRefused(t *testing.T) {
	signer := newSigner(t)
	other := newTablet(t, envelope.MLKEM768X25519).public()
	for name, change := range map[string]func(*envelope.SignedKeys){
		"another practice":       func(l *envelope.SignedKeys) { l.Practice = id.New[id.Practice]() },
		"no practice":            func(l *envelope.SignedKeys) { l.Practice = "" },
		"issued later":           func(l *envelope.SignedKeys) { l.IssuedAt = l.IssuedAt.Add(time.Nanosecond) },
		"a bit of a key":         func(l *envelope.SignedKeys) { l.Keys[1].Key[500] ^= 1 },
		"another key":            func(l *envelope.SignedKeys) { l.Keys[0].Key = other.Key },
		"another key id":         func(l *envelope.SignedKeys) { l.Keys[0].ID = other.ID },
		"a key id of any bytes":  func(l *envelope.SignedKeys) { l.Keys[0].ID = "x" },
		"sealed to for longer":   func(l *envelope.SignedKeys) { l.Keys[1].SealUntil = l.Keys[1].SealUntil.AddDate(1, 0, 0) },
		"a nanosecond longer":    func(l *envelope.SignedKeys) { l.Keys[1].SealUntil = l.Keys[1].SealUntil.Add(1) },
		"another suite":          func(l *envelope.SignedKeys) { l.Keys[0].Suite = envelope.P256 },
		"a key left out":         func(l *envelope.SignedKeys) { l.Keys = l.Keys[1:] },
		"all keys left out":      func(l *envelope.SignedKeys) { l.Keys = nil },
		"a key added":            func(l *envelope.SignedKeys) { l.Keys = append(l.Keys, other) },
		"a key twice":            func(l *envelope.SignedKeys) { l.Keys = append(l.Keys, l.Keys[0]) },
		"another order":          func(l *envelope.SignedKeys) { l.Keys[0], l.Keys[1] = l.Keys[1], l.Keys[0] },
		"no signature":           func(l *envelope.SignedKeys) { l.Signature = nil },
		"a bit of the signature": func(l *envelope.SignedKeys) { l.Signature[3] ^= 4 },
		"a longer signature":     func(l *envelope.SignedKeys) { l.Signature = append(l.Signature, 0) },
		"a key without end":      func(l *envelope.SignedKeys) { l.Keys[0].Key = make([]byte, 1<<17) },
		"keys without end":       func(l *envelope.SignedKeys) { l.Keys = make([]envelope.PublicKey, 1<<16) },
	} {
		l := served(t, newList(t, signer))
		change(l)
		if err := l.Verify(pinned(signer)); !errors.Is(err, envelope.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
		if k, err := l.Pick(pinned(signer), 0, now); !errors.Is(err, envelope.ErrSignature) || k.ID != "" {
			t.Errorf("%s: picked %q, %v", name, k.ID, err)
		}
	}
	l := newList(t, signer)
	for name, pin := range map[string]ed25519.PublicKey{"nothing": nil, "a short key": pinned(signer)[1:], "another key": pinned(newSigner(t))} {
		if err := l.Verify(pin); !errors.Is(err, envelope.ErrSignature) {
			t.Errorf("%s pinned: %v", name, err)
		}
	}
}

func TestUnusableKeyIsNotSigned(t *testing.T) {
	signer := newSigner(t)
	practice := id.New[id.Practice]()
	good := newTablet(t, envelope.P256).public()
	for name, change := range map[string]func(*envelope.PublicKey){
		"suite": func(k *envelope.PublicKey) { k.Suite = 7 },
		"id":    func(k *envelope.PublicKey) { k.ID = "7" },
		"key":   func(k *envelope.PublicKey) { k.Key = []byte{7} },
	} {
		k := good
		change(&k)
		if _, err := envelope.Sign(signer, practice, []envelope.PublicKey{good, k}, now); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := envelope.Sign(signer, "x", nil, now); err == nil {
		t.Error("practice x: signed")
	}
	if _, err := envelope.Sign(signer, practice, make([]envelope.PublicKey, 65), now); err == nil || !strings.Contains(err.Error(), "64") {
		t.Errorf("65 keys: %v", err)
	}
}
