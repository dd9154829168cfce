package envelope_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

var suites = []envelope.Suite{envelope.MLKEM768X25519, envelope.P256}

// tablet seals for one capture of one practice to one key.
type tablet struct {
	key      *envelope.PrivateKey
	practice id.Practice
	capture  id.Capture
}

func newTablet(t testing.TB, s envelope.Suite) tablet {
	t.Helper()
	seed := secret.New()
	defer seed.Destroy()
	key, err := envelope.NewPrivateKey(s, id.New[id.UploadKey](), seed)
	if err != nil {
		t.Fatal(err)
	}
	return tablet{key, id.New[id.Practice](), id.New[id.Capture]()}
}

func (x tablet) public() envelope.PublicKey {
	return envelope.PublicKey{ID: x.key.ID(), Suite: x.key.Suite(), Key: x.key.Public()}
}

func (x tablet) seal(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := envelope.Seal(&b, x.public(), x.practice, x.capture)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// find has only the tablet's key.
func (x tablet) find(k id.UploadKey) (*envelope.PrivateKey, error) {
	if k != x.key.ID() {
		return nil, envelope.ErrUnknownKey
	}
	return x.key, nil
}

func (x tablet) open(sealed io.Reader) ([]byte, error) {
	r, err := envelope.Open(sealed, x.find, x.practice, x.capture)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// pattern is what testdata/generate.mjs seals.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestWhatWasSealedOpens(t *testing.T) {
	for _, s := range suites {
		x := newTablet(t, s)
		for _, n := range []int{0, 1, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1, 3*seal.ChunkSize - 1, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", s, n), func(t *testing.T) {
				plain := pattern(n)
				sealed := x.seal(t, plain)
				if want := envelope.SealedSize(s, int64(n)); int64(len(sealed)) != want {
					t.Errorf("%d bytes, SealedSize says %d", len(sealed), want)
				}
				for name, src := range map[string]io.Reader{
					"at once":      bytes.NewReader(sealed),
					"half by half": iotest.HalfReader(bytes.NewReader(sealed)),
					"data and EOF": iotest.DataErrReader(bytes.NewReader(sealed)),
				} {
					if got, err := x.open(src); err != nil || !bytes.Equal(got, plain) {
						t.Errorf("%s: %d bytes, %v", name, len(got), err)
					}
				}
			})
		}
	}
}

func TestSealingTwiceGivesOtherBytes(t *testing.T) {
	for _, s := range suites {
		x := newTablet(t, s)
		a, b := x.seal(t, pattern(100)), x.seal(t, pattern(100))
		fixed := 8 + 36 + 36
		if !bytes.Equal(a[:fixed], b[:fixed]) {
			t.Errorf("%s: the header's fixed part differs", s)
		}
		for at := fixed; at+8 <= len(a); at += 8 {
			if bytes.Equal(a[at:at+8], b[at:at+8]) {
				t.Errorf("%s: 8 bytes at %d are the same", s, at)
			}
		}
	}
}

func TestKeyPairIsDerivedFromItsSeed(t *testing.T) {
	seed := secret.New()
	other := secret.New()
	seen := map[string]bool{}
	for _, s := range suites {
		for _, k := range []*secret.Key{seed, other} {
			a, err := envelope.NewPrivateKey(s, id.New[id.UploadKey](), k)
			if err != nil {
				t.Fatal(err)
			}
			b, err := envelope.NewPrivateKey(s, id.New[id.UploadKey](), k)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a.Public(), b.Public()) {
				t.Errorf("%s: two pairs from one seed", s)
			}
			if seen[string(a.Public())] {
				t.Errorf("%s: a pair twice", s)
			}
			seen[string(a.Public())] = true
		}
	}
}

func TestKeyThatCannotBeUsedIsNotSealedTo(t *testing.T) {
	x, y := newTablet(t, envelope.MLKEM768X25519), newTablet(t, envelope.P256)
	for name, change := range map[string]func(*envelope.PublicKey){
		"no key":               func(p *envelope.PublicKey) { p.Key = nil },
		"cut":                  func(p *envelope.PublicKey) { p.Key = p.Key[1:] },
		"of another suite":     func(p *envelope.PublicKey) { p.Key = y.key.Public() },
		"of no suite":          func(p *envelope.PublicKey) { p.Suite = 0 },
		"of an unknown suite":  func(p *envelope.PublicKey) { p.Suite = 0x0020 },
		"not on the curve":     func(p *envelope.PublicKey) { *p = y.public(); p.Key[9] ^= 1 },
		"the point at nowhere": func(p *envelope.PublicKey) { *p = y.public(); clear(p.Key) },
		"no id":                func(p *envelope.PublicKey) { p.ID = "" },
		"id of another form":   func(p *envelope.PublicKey) { p.ID = "../../../etc" },
	} {
		pub := x.public()
		change(&pub)
		var b bytes.Buffer
		if _, err := envelope.Seal(&b, pub, x.practice, x.capture); err == nil || b.Len() > 0 {
			t.Errorf("%s: sealed to, %d bytes written", name, b.Len())
		}
	}
	for _, bad := range [][2]string{{"", string(x.capture)}, {string(x.practice), ""}, {string(x.practice), "x"}} {
		if _, err := envelope.Seal(io.Discard, x.public(), id.Practice(bad[0]), id.Capture(bad[1])); err == nil {
			t.Errorf("practice %q, capture %q: sealed", bad[0], bad[1])
		}
	}
}

func TestSourceAndDestinationFailuresPassThrough(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for _, s := range suites {
		x := newTablet(t, s)
		sealed := x.seal(t, pattern(3*seal.ChunkSize))
		header := envelope.HeaderSize(s)
		for _, at := range []int{0, 5, 8, 50, header - 1, header, header + 10, header + 60, len(sealed) - 1, len(sealed)} {
			src := io.MultiReader(bytes.NewReader(sealed[:at]), iotest.ErrReader(broken))
			_, err := x.open(src)
			if !errors.Is(err, broken) || errors.Is(err, envelope.ErrRefused) || errors.Is(err, envelope.ErrFormat) {
				t.Errorf("%s: source fails at %d: %v", s, at, err)
			}
		}
		for _, room := range []int{0, header, header + 56} {
			w, err := envelope.Seal(&limited{room: room, err: broken}, x.public(), x.practice, x.capture)
			if err == nil {
				if _, err = w.Write(pattern(2 * seal.ChunkSize)); err == nil {
					err = w.Close()
				}
			}
			if !errors.Is(err, broken) {
				t.Errorf("%s: destination fails after %d: %v", s, room, err)
			}
		}
	}
}

// limited fails once room is used up.
type limited struct {
	room int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.room {
		return 0, l.err
	}
	l.room -= len(p)
	return len(p), nil
}

func TestPrivateKeyIsNotPrinted(t *testing.T) {
	x := newTablet(t, envelope.P256)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got, want := fmt.Sprintf(verb, x.key), "[upload key "+string(x.key.ID())+"]"; got != want {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}
