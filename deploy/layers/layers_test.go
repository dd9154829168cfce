// Package layers holds the rule of which package may import which, and the
// test that enforces it.
package layers_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// may lists, for each package, the packages of this module that its code
// (tests aside) may import. Data flows one way: a package that is not listed
// under another must not be known to it.
var may = map[string][]string{
	"vault/canon":              {},
	"vault/id":                 {},
	"vault/secret":             {},
	"vault/seal":               {},
	"vault/envelope":           {"vault/canon", "vault/id", "vault/seal", "vault/secret"},
	"vault/audit":              {"vault/canon", "vault/id"},
	"vault/keys":               {"vault/canon", "vault/id", "vault/secret"},
	"vault/keys/transit":       {"vault/keys", "vault/secret"},
	"vault/keys/localkek":      {"vault/canon", "vault/keys", "vault/seal", "vault/secret"},
	"vault/blobs":              {"vault/id"},
	"vault/blobs/s3":           {"vault/blobs", "vault/id"},
	"vault/blobs/dir":          {"vault/blobs", "vault/id"},
	"vault/webhook":            {},
	"consent":                  {"vault/audit", "vault/canon", "vault/id"},
	"imaging/internal/pages":   {},
	"imaging/internal/wire":    {"imaging/internal/pages"},
	"imaging/internal/sandbox": {"imaging/internal/wire"},
	"imaging":                  {"imaging/internal/sandbox", "imaging/internal/wire"},
	"imaging/codec":            {"imaging/internal/pages", "imaging/internal/sandbox", "imaging/internal/wire"},
	"imaging/specimen":         {},
	"vault": {"consent", "imaging", "vault/audit", "vault/blobs", "vault/canon", "vault/envelope", "vault/id", "vault/keys",
		"vault/seal", "vault/secret"},
	"vault/catalog":                  {"consent", "vault", "vault/audit", "vault/canon", "vault/id", "vault/keys", "vault/seal", "vault/secret"},
	"vault/simulation":               {},
	"vault/vaulttest/devstack":       {},
	"vault/vaulttest/faultproxy":     {},
	"vault/vaulttest/history":        {},
	"vault/vaulttest/timing":         {},
	"vault/blobs/s3/s3test":          {"vault/blobs/s3", "vault/vaulttest/devstack"},
	"vault/keys/transit/transittest": {"vault/keys/transit", "vault/vaulttest/devstack"},
	"vault/vaulttest":                {"consent", "vault", "vault/audit", "vault/blobs", "vault/canon", "vault/id", "vault/keys", "vault/seal", "vault/secret"},
	"api":                            {"api/identity", "consent", "vault", "vault/audit", "vault/envelope", "vault/id", "vault/keys"},
	"api/identity":                   {"consent", "vault", "vault/audit", "vault/id"},
	"api/web/sealer":                 {},
	"api/client":                     {"api", "vault", "vault/envelope", "vault/id"},
	"cmd/photovault/config":          {"consent", "vault/blobs/s3", "vault/id", "vault/keys/localkek", "vault/keys/transit", "vault/webhook"},
	"cmd/photovault": {"api", "api/client", "api/identity", "cmd/photovault/config", "consent", "imaging", "imaging/codec", "vault", "vault/audit", "vault/blobs",
		"vault/blobs/dir", "vault/blobs/s3", "vault/catalog", "vault/envelope", "vault/id", "vault/keys", "vault/keys/localkek", "vault/keys/transit",
		"vault/secret", "vault/webhook"},
	"deploy/container": {},
	"deploy/demo":      {"imaging/specimen", "vault/blobs", "vault/blobs/s3", "vault/id"},
	"deploy/layers":    {},
}

// fenced modules and who may import them directly.
var fenced = map[string][]string{
	"github.com/gofiber/fiber":          {"api"},
	"github.com/valyala/fasthttp":       {"api"},
	"github.com/disintegration/imaging": {"imaging/codec"},
	"github.com/rwcarlsen/goexif":       {"imaging/codec"},
	"github.com/gen2brain/heic":         {"imaging/codec"},
	"github.com/tetratelabs/wazero":     {"imaging/codec"},
	"github.com/ncruces/go-sqlite3":     {"vault/catalog"},
	"github.com/cedar-policy/cedar-go":  {"consent"},
	"github.com/jackc/pgx":              {"vault/catalog", "vault/vaulttest/devstack"},
	"github.com/minio/minio-go":         {"vault/blobs/s3"},
	"github.com/hashicorp/vault":        {"vault/keys/transit"},
	"github.com/alecthomas/kong":        {"cmd/photovault"},
	"github.com/anishathalye/porcupine": {"vault/vaulttest/history"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "photovault/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsFollowTheLayers(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "photovault/")
		allowed, known := may[name]
		if !known {
			t.Errorf("%s has no place in the layers", name)
			continue
		}
		for _, i := range p.Imports {
			if own, ok := strings.CutPrefix(i, "photovault/"); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s must not import %s", name, own)
			}
		}
	}
}

func TestLibrariesStayBehindTheirFences(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "photovault/")
		for _, i := range p.Imports {
			for module, who := range fenced {
				if strings.HasPrefix(i, module) && !slices.Contains(who, name) {
					t.Errorf("%s must not import %s", name, i)
				}
			}
		}
	}
}
