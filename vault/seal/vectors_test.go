package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"photovault/vault/seal"
)

// vector is described in testdata/generate.mjs, which writes them.
type vector struct {
	Name, Verdict      string
	Key, Context, Salt unhexed
	OpenKey            *unhexed `json:"open_key"`
	OpenContext        *unhexed `json:"open_context"`
	Size, Prefix       int
	SealedSize         int      `json:"sealed_size"`
	SHA256             unhexed  `json:"sealed_sha256"`
	Sealed             *unhexed // the file,
	Pieces             [][3]int // or how to make it
	Frames             *[][2]int
}

type unhexed []byte

func (u *unhexed) UnmarshalText(text []byte) (err error) {
	*u, err = hex.DecodeString(string(text))
	return err
}

// file makes the container of the vector.
func (v *vector) file(t *testing.T) []byte {
	good, err := seal.SealWith(nil, v.Key, v.Context, plain(v.Size), v.Salt)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case v.Verdict == "opens":
		return good
	case v.Sealed != nil:
		return *v.Sealed
	case v.Pieces != nil:
		var out []byte
		for _, p := range v.Pieces {
			out = append(out, good[p[0]:p[1]]...)
			if p[2] != 0 {
				out[len(out)-1] ^= byte(p[2])
			}
		}
		return out
	case v.Frames != nil:
		var frames []frame
		for _, f := range *v.Frames {
			frames = append(frames, frame{f[0], uint64(f[1])})
		}
		return forge(t, v.Key, v.Context, v.Salt, plain(v.Size), frames)
	}
	return good
}

func TestVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, v := range vectors {
		file := v.file(t)
		if sum := sha256.Sum256(file); !bytes.Equal(sum[:], v.SHA256) || len(file) != v.SealedSize {
			t.Errorf("%s: made otherwise than the vector", v.Name)
			continue
		}
		if v.OpenKey == nil {
			v.OpenKey = &v.Key
		}
		if v.OpenContext == nil {
			v.OpenContext = &v.Context
		}
		truth := plain(v.Size)
		_, streamed, _ := agree(t, *v.OpenKey, *v.OpenContext, file)
		err := opens(t, *v.OpenKey, *v.OpenContext, file, truth)
		switch v.Verdict {
		case "opens":
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
			}
			if v.Sealed != nil && !bytes.Equal(*v.Sealed, file) {
				t.Errorf("%s: the vector has two minds about its file", v.Name)
			}
		case "refused":
			if err != seal.ErrAuth {
				t.Errorf("%s: %v", v.Name, err)
			}
			if len(streamed) != v.Prefix {
				t.Errorf("%s: the stream gave out %d bytes, want the %d that are whole chunks", v.Name, len(streamed), v.Prefix)
			}
		default:
			t.Errorf("%s: verdict %q", v.Name, v.Verdict)
		}
		seen[v.Verdict]++
	}
	if seen["opens"] != 21 || seen["refused"] < 30 {
		t.Errorf("%v, want 7 sizes × 3 contexts that open, and the refusals", seen)
	}
}

func TestVectorsAreWhatTheGeneratorWrites(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
			t.Fatalf("node is not installed: %v", err)
		}
		t.Skipf("node is not installed: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), node, "testdata/generate.mjs", "-")
	cmd.Stderr = os.Stderr
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("testdata/vectors.json is not what testdata/generate.mjs writes")
	}
}
