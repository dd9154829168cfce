package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// HIPAA H5, promise P3: fetches race a revocation. A request that began after
// the revocation was answered gets no byte, and no release is numbered after
// the revocation in the log.
func TestFetchesRaceARevocation(t *testing.T) {
	const rounds, fetchers = racingRounds, 16
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	in := s.forMarketing()
	in.Rendition, in.Uses = "thumb", consent.MaxUses
	get := &http.Client{Transport: s.from("127.0.0.1").transport}
	fetch := func(token string) (status int, n int64, err error) {
		req, err := http.NewRequestWithContext(context.Background(), "GET", "https://"+s.address+"/v1/content", nil)
		if err != nil {
			return 0, 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := get.Do(req)
		if err != nil {
			return 0, 0, err
		}
		defer res.Body.Close()
		n, err = io.Copy(io.Discard, res.Body)
		return res.StatusCode, n, err
	}
	var released, refused, cut, unspent atomic.Int64
	var revoked []id.Authorization
	for range rounds {
		auth := s.authorize(s.newAuthorization(patient))
		tokens := make([]string, fetchers/4) // four share one, so that they race each other, too
		for i := range tokens {
			issued := into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), in), 201)
			tokens[i] = issued.Token
		}
		var over atomic.Bool
		var inThis atomic.Int64
		var begun, done sync.WaitGroup
		begun.Add(fetchers)
		for f := range fetchers {
			done.Go(func() {
				first := sync.OnceFunc(begun.Done)
				defer first()
				for {
					after := over.Load()
					status, n, err := fetch(tokens[f%len(tokens)])
					first()
					switch {
					case after:
						if status != 404 || err != nil {
							t.Errorf("a request that began after the revocation: status %d, %d bytes, %v", status, n, err)
						}
						return
					case err != nil: // it ran when consent ended
						cut.Add(1)
					case status == 200:
						inThis.Add(1)
					case status == 404, status == 503: // 503: others took the number of the use, twice
						refused.Add(1)
					default:
						t.Errorf("status %d", status)
						return
					}
				}
			})
		}
		begun.Wait()
		s.revoke(auth)
		over.Store(true)
		done.Wait()
		revoked = append(revoked, auth)
		released.Add(inThis.Load())
		if inThis.Load() < int64(len(tokens)*consent.MaxUses) {
			unspent.Add(1)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d fetches released before the revocation was answered, %d cut, %d refused; %d began after it and got nothing",
		released.Load(), cut.Load(), refused.Load(), rounds*fetchers)
	if released.Load() < rounds || unspent.Load() < rounds*8/10 {
		t.Errorf("there was no race: %d released, tokens with uses left in %d rounds", released.Load(), unspent.Load())
	}
	s.noReleaseAfter(revoked)
}

// noReleaseAfter reads the log in its order.
func (s *stack) noReleaseAfter(revoked []id.Authorization) {
	s.Helper()
	s.ask("GET", "/v1/audit?limit=1", s.token("privacy"), nil).ok(200) // everything gets its number
	over := map[string]bool{}
	releases := 0
	s.must(s.catalog.ForPractice(s.practice).AuditRecords(context.Background(), 0, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if err != nil {
			return err
		}
		switch {
		case e.Action == audit.ConsentRevoke && e.Outcome == audit.Allowed:
			over["authorization/"+e.Subject] = true
		case e.Action == audit.Release && e.Outcome == audit.Intent:
			releases++
			if slices.ContainsFunc(e.Records, func(basis string) bool { return over[basis] }) {
				return fmt.Errorf("entry %d releases on %s, which was revoked before", r.Seq, strings.Join(e.Records, ", "))
			}
		}
		return nil
	}))
	if len(over) != len(revoked) || releases == 0 {
		s.Errorf("the log has %d revocations and %d releases; %d were made", len(over), releases, len(revoked))
	}
}
