package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/vault"
)

// Kills the service with SIGKILL at a random instant of upload and ingest, starts
// it again, and lets the client go on. Nothing acknowledged may be lost, no
// photo may be half there, and one sweep must leave nothing behind.
// PHOTOVAULT_SOAK_ROUNDS sets the rounds; make soak runs 100.
func TestSoakKill(t *testing.T) {
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv("PHOTOVAULT_SOAK_ROUNDS")); err == nil {
		rounds = n
	}
	v := newVault(t)
	patient := v.patientWithConsent("MRN-SOAK")
	photo := generatedPhoto(t)
	want := sha256.Sum256(photo)
	conf, err := home(v.home).loadSettings()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := client.New(v.server(), v.tokens["provider"], []byte(conf.CA))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var lost, half, duringUpload, duringIngest int
	for range rounds {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		acknowledged := make(chan int64, 1024)
		type ended struct {
			photo *api.Photo
			err   error
		}
		done := make(chan ended, 1)
		var high int64
		go func() {
			p, err := provider.Put(ctx, bytes.NewReader(photo), client.PutOptions{Photo: api.NewPhoto{Patient: patient},
				Pinned: conf.UploadSigningKey, Practice: conf.Practice, Chunk: 256 << 10,
				Progress: func(n, _ int64) {
					if n < high { // what was acknowledged before is not there any more
						lost++
					}
					high = max(high, n)
					acknowledged <- n
					time.Sleep(80 * time.Millisecond) // as slow as Wi-Fi, so that kills fall into the upload too
				}})
			done <- ended{p, err}
		}()
		<-acknowledged // the upload exists
		time.Sleep(time.Duration(rnd.Int64N(int64(900 * time.Millisecond))))
		select {
		case e := <-done:
			duringIngest++
			done <- e
		default:
			duringUpload++
		}
		v.kill()
		v.start()
		e := <-done
		if e.err != nil {
			t.Fatalf("the upload did not survive the kill: %v", e.err)
		}
		p, err := provider.Await(ctx, e.photo.ID)
		if err != nil {
			t.Fatalf("the photo did not become ready: %v\n%s", err, v.log)
		}
		var receipt vault.Receipt
		if err := provider.Get(ctx, "/v1/photos/"+string(p.ID)+"/receipt", &receipt); err != nil {
			t.Fatal(err)
		}
		if receipt.Findings.InputSHA256 != hex.EncodeToString(want[:]) || len(p.Renditions) != 3 {
			half++
		}
		cancel()
	}
	v.stop()
	v.start() // the first sweep runs at start
	waitFor(t, 20*time.Second, func() bool { return len(objects(t, v.home, "staging"))+len(objects(t, v.home, "tmp")) == 0 })
	staging, photos := objects(t, v.home, "staging"), objects(t, v.home, "photos")
	leftovers := len(staging) + len(objects(t, v.home, "tmp")) + len(photos) - 3*rounds
	t.Logf("rounds %d (killed during upload %d, during ingest or after %d): acknowledged bytes lost %d, half-visible photos %d, leftovers after one sweep %d",
		rounds, duringUpload, duringIngest, lost, half, leftovers)
	if lost+half+leftovers != 0 {
		t.Error("something was lost, half there, or left behind")
	}
	if out, errs, err := v.run("", "audit", "verify", "--json"); err != nil || !json.Valid([]byte(out)) {
		t.Errorf("the trail does not verify after the kills: %v %s", err, errs)
	}
}

// objects lists the files of one area of the object store.
func objects(t *testing.T, homeFolder, area string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(homeFolder, "data", "objects", area), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, p)
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func waitFor(t *testing.T, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
}
