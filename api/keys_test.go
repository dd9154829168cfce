package api_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/keys"
)

// follow waits until the running key service has seen the operator's change.
func (s *stack) follow(want keys.Versions) {
	s.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		got, err := s.keys.Versions(s.Context())
		s.must(err)
		if got == want {
			return
		}
		if time.Since(began) > time.Minute {
			s.Fatalf("the key service has versions %v, %v wanted", got, want)
		}
	}
}

func (s *stack) rotateWrapping() uint32 {
	s.Helper()
	v, err := s.operator.Rotate(s.Context())
	s.must(err)
	s.follow(v)
	return v.Newest
}

func (s *stack) eraseWrapping(below uint32) {
	s.Helper()
	v, err := s.operator.Erase(s.Context(), below)
	s.must(err)
	s.follow(v)
}

// rewrapAll goes through all keys in batches of three and returns how many moved.
func (s *stack) rewrapAll() (moved int) {
	s.Helper()
	for after := ""; ; {
		out := into[vault.Rewrapped](s.ask("POST", "/v1/keys/rewrap", s.token("admin"), api.RewrapRequest{After: after, Limit: 3}), 200)
		moved += out.Moved
		if len(out.Refused) > 0 {
			s.Errorf("refused: %v", out.Refused)
		}
		if after = out.Next; after == "" {
			return moved
		}
	}
}

// After rotate, rewrap and erase everything that lives still opens, and a copy
// of the database from before opens nothing, whatever objects are kept.
func TestErasedVersionsOpenNothing(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo, gone := s.ready(patient, small), s.ready(patient, small)
	before, err := s.catalog.Release(t.Context(), consent.Bearer(s.forCare(gone.ID, "web", consent.InHeader, 1).Token).Hash())
	s.must(err)
	withdrawn := s.authorize(s.newAuthorization(patient))
	s.marketed(photo.ID)
	copies := s.copiesOf(photo.ID, withdrawn).Wrapped
	s.revoke(withdrawn)
	standing := s.authorize(s.newAuthorization(patient))
	s.marketed(photo.ID)
	opens := func(what string) bool {
		t.Helper()
		k, err := s.keys.UnwrapDataKey(t.Context(), vault.PhotoKeyContext(s.practice, photo.ID, withdrawn), copies)
		if err == nil {
			k.Destroy()
			return true
		}
		if !errors.Is(err, keys.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
		k, err = s.keys.UnwrapDataKey(t.Context(), vault.PhotoKeyContext(s.practice, gone.ID, ""), before.Key.Wrapped)
		if err == nil {
			k.Destroy()
			return true
		}
		if !errors.Is(err, keys.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
		return false
	}
	s.ask("DELETE", "/v1/photos/"+string(gone.ID), s.token("privacy"), nil).ok(200)
	if !opens("revoked") {
		t.Fatal("the old wrapped key opens nothing before anything was erased: the test shows nothing")
	}
	admin := s.token("admin")
	below := s.rotateWrapping()
	s.ask("POST", "/v1/keys/erasures", admin, api.EraseRequest{Below: below}).problem(409, "keys_left")
	late := s.ready(patient, small) // ingested after the floor was raised
	if moved := s.rewrapAll(); moved < 8 {
		t.Errorf("%d keys moved; five of the practice, upload keys and a photo's were expected", moved)
	}
	if moved := s.rewrapAll(); moved != 0 {
		t.Errorf("%d keys moved again", moved)
	}
	s.ask("POST", "/v1/keys/erasures", admin, api.EraseRequest{Below: below}).ok(201)
	s.ask("POST", fmt.Sprintf("/v1/keys/erasures/%d/done", below), admin, nil).problem(409, "not_erased")
	s.eraseWrapping(below)
	s.ask("POST", fmt.Sprintf("/v1/keys/erasures/%d/done", below), admin, nil).ok(204)
	if opens("erased") {
		t.Error("a wrapped key from before the erasure still opens")
	}
	for _, p := range []*api.Photo{photo, late} {
		s.fetch("GET", s.forCare(p.ID, "web", consent.InHeader, 1)).ok(200)
	}
	if s.copiesOf(photo.ID, standing) == nil {
		t.Error("the copies under the authorization that stands are gone")
	}
	s.fetch("GET", s.marketed(photo.ID)).ok(200)
	state := into[vault.KeyState](s.ask("GET", "/v1/keys", admin, nil), 200)
	if state.Wrapping != (keys.Versions{Oldest: below, Newest: below}) || len(state.Erasures) != 1 || state.Erasures[0].DoneAt.IsZero() {
		t.Errorf("the state is %+v", state)
	}
	for _, a := range []audit.Action{audit.KeysRewrap, audit.KeysErase} {
		if s.logged(func(e vault.Logged) bool { return e.Action == a && e.Outcome == audit.Allowed }) == 0 {
			t.Errorf("%s is not logged", a)
		}
	}
	if realStores { // no file
		return
	}
	again, err := os.ReadFile(filepath.Join(s.folder, "data", "catalog.db.keys"))
	s.must(err)
	if bytes.Contains(again, []byte("AQAAAAE")) { // format 1, version 1, in base64
		t.Error("the database file's key is still wrapped under version 1")
	}
}

func TestErasureOfWhatDoesNotExistIsRefused(t *testing.T) {
	s := newStack(t)
	admin := s.token("admin")
	for _, below := range []uint32{0, 1, 2, 1 << 31} {
		s.ask("POST", "/v1/keys/erasures", admin, api.EraseRequest{Below: below}, odd).problem(422, "field_invalid")
	}
	s.ask("POST", "/v1/keys/erasures", admin, api.EraseRequest{Below: 2, Lost: -1}, odd).problem(422, "field_invalid")
	s.ask("POST", "/v1/keys/erasures/x/done", admin, nil).problem(404, "not_found")
	s.ask("POST", "/v1/keys/erasures/1/done", admin, nil).problem(404, "not_found")
	s.ask("POST", "/v1/keys/audit/rotate", admin, nil).problem(422, "field_invalid")
	s.ask("POST", "/v1/keys/rewrap", admin, api.RewrapRequest{Limit: 501}, odd).problem(422, "field_invalid")
	s.ask("POST", "/v1/keys/rewrap", admin, api.RewrapRequest{After: "nowhere/1"}).problem(422, "cursor_invalid")
	s.ask("POST", "/v1/keys/rewrap", admin, []byte(`{"after":1}`), odd).problem(400, "malformed_request")
	s.ask("POST", "/v1/keys/erasures", admin, []byte(`[]`), odd).problem(400, "malformed_request")
}

func TestThePracticesKeysRotateAndEverythingGoesOn(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	desk, admin := s.token("front-desk"), s.token("admin")
	number := into[api.Patient](s.ask("GET", "/v1/patients/"+string(patient), desk, nil), 200).RecordNumber
	for range 2 {
		for _, purpose := range []string{"catalog", "index", "evidence"} {
			s.ask("POST", "/v1/keys/"+purpose+"/rotate", admin, nil).ok(200)
			s.clock.advance(11 * time.Second)
			s.must(s.catalog.RefreshKeys(t.Context()))
			found := into[api.Patient](s.ask("POST", "/v1/patients/find", desk, api.PatientQuery{RecordNumber: number}), 200)
			if found.ID != patient {
				t.Errorf("after rotating %s: another patient", purpose)
			}
			s.ask("POST", "/v1/patients", desk, api.NewPatient{RecordNumber: number}).problem(409, "record_number_taken")
			s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)).ok(200)
		}
	}
	newest := s.ready(patient, small)
	state := into[vault.KeyState](s.ask("GET", "/v1/keys", admin, nil), 200)
	for _, k := range state.Practice {
		rotated := k.Purpose == keys.Catalog || k.Purpose == keys.Index || k.Purpose == keys.Checkpoint
		if want := !rotated || k.Version == 3; k.InUse != want {
			t.Errorf("%s %d in use: %v", k.Purpose, k.Version, k.InUse)
		}
	}
	// Receipts of before and after verify for a client that pinned the first key.
	chain := into[api.EvidenceKeys](s.ask("GET", "/v1/evidence-keys", s.token("privacy"), nil), 200)
	follow, err := vault.FollowEvidence(s.evidence, chain.Keys)
	s.must(err)
	if len(follow) != 3 {
		t.Fatalf("%d evidence keys follow", len(follow))
	}
	for p, key := range map[*api.Photo]ed25519.PublicKey{photo: follow[0], newest: follow[2]} {
		r := into[vault.Receipt](s.ask("GET", "/v1/photos/"+string(p.ID)+"/receipt", s.token("privacy"), nil), 200)
		s.must(r.Verify(key))
	}
	forged := append([]vault.EvidenceKey(nil), chain.Keys...)
	forged[2].Key, _, err = ed25519.GenerateKey(nil)
	s.must(err)
	if _, err := vault.FollowEvidence(s.evidence, forged); !errors.Is(err, vault.ErrEvidence) {
		t.Errorf("a forged successor: %v", err)
	}
	if _, err := vault.FollowEvidence(forged[2].Key, chain.Keys); !errors.Is(err, vault.ErrEvidence) {
		t.Errorf("another practice's pinned key: %v", err)
	}
	// The log verifies against checkpoints signed before and after.
	_, err = vault.VerifyTrail(t.Context(), s.catalog, s.outside, s.practice, nil)
	s.must(err)
}
