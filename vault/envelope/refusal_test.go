package envelope_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

// refused opens an envelope and checks that no byte of it comes out.
func refused(t *testing.T, name string, x tablet, sealed []byte, want error) {
	t.Helper()
	plain, err := x.open(bytes.NewReader(sealed))
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", name, err, want)
	}
	if len(plain) > 0 {
		t.Errorf("%s: %d bytes came out", name, len(plain))
	}
}

func TestForeignEnvelopeIsRefused(t *testing.T) {
	for _, s := range suites {
		t.Run(s.String(), func(t *testing.T) {
			x := newTablet(t, s)
			sealed := x.seal(t, pattern(100))
			y := x
			y.capture = id.New[id.Capture]()
			refused(t, "another capture", y, sealed, envelope.ErrRefused)
			y = x
			y.practice = id.New[id.Practice]()
			refused(t, "another practice", y, sealed, envelope.ErrRefused)
			refused(t, "another key", tablet{newTablet(t, s).key, x.practice, x.capture}, sealed, envelope.ErrUnknownKey)

			// Another key under the same id: what a swapped row would give.
			seed := secret.New()
			swapped, err := envelope.NewPrivateKey(s, x.key.ID(), seed)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, "another key under its id", tablet{swapped, x.practice, x.capture}, sealed, envelope.ErrRefused)

			// The header rewritten to what the opener expects.
			y = x
			y.capture = id.New[id.Capture]()
			forged := bytes.Clone(sealed)
			copy(forged[44:80], y.capture)
			refused(t, "capture rewritten", y, forged, envelope.ErrRefused)
			y = tablet{newTablet(t, s).key, x.practice, x.capture}
			forged = bytes.Clone(sealed)
			copy(forged[8:44], y.key.ID())
			refused(t, "key id rewritten", y, forged, envelope.ErrRefused)

			header := envelope.HeaderSize(s)
			z := x.seal(t, pattern(100))
			refused(t, "container of another envelope", x, append(bytes.Clone(sealed[:header]), z[header:]...), envelope.ErrRefused)
			refused(t, "encapsulated key of another envelope", x, append(bytes.Clone(z[:header]), sealed[header:]...), envelope.ErrRefused)
		})
	}
}

func TestSwappedSuiteIsRefused(t *testing.T) {
	for _, s := range suites {
		x := newTablet(t, s)
		sealed := x.seal(t, pattern(5000))
		for _, other := range suites {
			if other == s {
				continue
			}
			forged := bytes.Clone(sealed)
			forged[6], forged[7] = byte(other>>8), byte(other)
			refused(t, s.String()+" as "+other.String(), x, forged, envelope.ErrRefused)
		}
		for _, unknown := range []envelope.Suite{0, 0x0020, 0x0041, 0x0050, 0xffff} {
			forged := bytes.Clone(sealed)
			forged[6], forged[7] = byte(unknown>>8), byte(unknown)
			refused(t, s.String()+" as "+unknown.String(), x, forged, envelope.ErrFormat)
		}
	}
}

func TestEveryBitFlipIsRefused(t *testing.T) {
	for _, s := range suites {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			x := newTablet(t, s)
			sealed := x.seal(t, pattern(40))
			header := envelope.HeaderSize(s)
			for at := range sealed {
				for bit := range 8 {
					forged := bytes.Clone(sealed)
					forged[at] ^= 1 << bit
					want := envelope.ErrRefused
					switch {
					case at < 8: // magic, version, suite
						want = envelope.ErrFormat
					case at < 44: // a key id that is not there
						want = envelope.ErrUnknownKey
					}
					refused(t, fmt.Sprintf("bit %d of byte %d (header is %d)", bit, at, header), x, forged, want)
				}
			}
		})
	}
}

func TestTruncatedAndExtendedAreRefused(t *testing.T) {
	for _, s := range suites {
		x := newTablet(t, s)
		for _, n := range []int{0, 40, seal.ChunkSize} {
			sealed := x.seal(t, pattern(n))
			for cut := range len(sealed) {
				if cut > envelope.HeaderSize(s)+80 && cut < len(sealed)-40 && cut%997 != 0 {
					continue
				}
				want := envelope.ErrRefused
				if cut < 8 {
					want = envelope.ErrFormat
				}
				if _, err := x.open(bytes.NewReader(sealed[:cut])); !errors.Is(err, want) {
					t.Errorf("%s: %d of %d bytes: %v", s, cut, len(sealed), err)
				}
			}
			for _, more := range []int{1, 16, 100, seal.ChunkSize + seal.Overhead} {
				if _, err := x.open(bytes.NewReader(append(bytes.Clone(sealed), make([]byte, more)...))); !errors.Is(err, envelope.ErrRefused) {
					t.Errorf("%s: %d bytes more: %v", s, more, err)
				}
			}
			// A second envelope appended is not silently left unread.
			if _, err := x.open(bytes.NewReader(append(bytes.Clone(sealed), sealed...))); !errors.Is(err, envelope.ErrRefused) {
				t.Errorf("%s: twice in a row: %v", s, err)
			}
		}
	}
}

func TestUnclosedEnvelopeIsRefused(t *testing.T) {
	for _, s := range suites {
		x := newTablet(t, s)
		var b bytes.Buffer
		w, err := envelope.Seal(&b, x.public(), x.practice, x.capture)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(pattern(2 * seal.ChunkSize)); err != nil {
			t.Fatal(err)
		}
		if _, err := x.open(&b); !errors.Is(err, envelope.ErrRefused) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestKeyIsNotLookedForInVain(t *testing.T) {
	x := newTablet(t, envelope.MLKEM768X25519)
	sealed := x.seal(t, nil)
	never := func(id.UploadKey) (*envelope.PrivateKey, error) {
		t.Error("a key was looked for")
		return nil, envelope.ErrUnknownKey
	}
	if _, err := envelope.Open(bytes.NewReader(sealed), never, x.practice, id.New[id.Capture]()); !errors.Is(err, envelope.ErrRefused) {
		t.Errorf("another capture: %v", err)
	}
	if _, err := envelope.Open(bytes.NewReader(sealed[:envelope.HeaderSize(x.key.Suite())-1]), never, x.practice, x.capture); !errors.Is(err, envelope.ErrRefused) {
		t.Errorf("cut header: %v", err)
	}
	for _, hostile := range []string{"../../../../../../../../etc/passwd\x00\x00", string(bytes.Repeat([]byte{0xff}, 36)), "DECADE00-7777-4888-9999-AAAABBBBCCCC"} {
		forged := bytes.Clone(sealed)
		copy(forged[8:44], hostile)
		if _, err := envelope.Open(bytes.NewReader(forged), never, x.practice, x.capture); !errors.Is(err, envelope.ErrUnknownKey) {
			t.Errorf("key id %q: %v", hostile, err)
		}
	}
	unavailable := errors.New("the key service is asleep")
	fails := func(id.UploadKey) (*envelope.PrivateKey, error) { return nil, unavailable }
	if _, err := envelope.Open(bytes.NewReader(sealed), fails, x.practice, x.capture); !errors.Is(err, unavailable) || errors.Is(err, envelope.ErrUnknownKey) {
		t.Errorf("key service fails: %v", err)
	}
	wrong := func(id.UploadKey) (*envelope.PrivateKey, error) { return newTablet(t, x.key.Suite()).key, nil }
	if _, err := envelope.Open(bytes.NewReader(sealed), wrong, x.practice, x.capture); !errors.Is(err, envelope.ErrRefused) {
		t.Errorf("find returns another key: %v", err)
	}
}
