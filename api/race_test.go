package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"photovault/api"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/vaulttest/history"
)

// HIPAA H5, promise P3: fetches race a revocation. A request that began after
// the revocation was answered gets no byte, a token of one use is good once, and
// no release is numbered after the revocation in the log. What every client saw
// is checked as a history.
func TestFetchesRaceARevocation(t *testing.T) { raceRevocations(t, racingRounds) }

// The same for as long as make soak wants: ten rounds for each of its own.
func TestSoakFetchesRaceARevocation(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("PHOTOVAULT_SOAK_ROUNDS"))
	if err != nil {
		t.Skip("left out: part of make soak")
	}
	raceRevocations(t, 10*n)
}

// Of the tokens of a round half are of one use; four fetchers share each.
const (
	racingFetchers = 32
	usesOfMany     = 6
	roundsOfOne    = 25 // rounds that one patient lasts: a record is read whole for each decision
)

func raceRevocations(t *testing.T, rounds int) {
	s := newStack(t)
	in := s.forMarketing()
	in.Rendition, in.TTLSeconds = "thumb", 900
	wire := s.from("127.0.0.1").transport.Clone()
	wire.MaxIdleConnsPerHost = racingFetchers + 1 // no handshake for each request
	t.Cleanup(wire.CloseIdleConnections)
	get := &http.Client{Transport: wire}
	var (
		all     history.Seen
		revoked []id.Authorization
		patient id.Patient
		photo   *api.Photo
	)
	for n := range rounds {
		if n%roundsOfOne == 0 {
			patient = s.consented()
			photo = s.ready(patient, small)
		}
		size := rendition(s, photo, "thumb").Size
		auth := s.authorize(s.newAuthorization(patient))
		round := history.Round{Fetchers: racingFetchers, Revoke: func() error { return s.tryRevoke(get, auth) }}
		var tokens []string
		for i := range racingFetchers / 4 {
			in.Uses = 1 + i%2*(usesOfMany-1)
			round.Uses = append(round.Uses, in.Uses)
			tokens = append(tokens, into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), in), 201).Token)
		}
		round.Fetch = func(_, token int) (history.Outcome, int64, error) { return s.redeem(get, tokens[token], size) }
		seen, err := round.Run()
		if err != nil {
			t.Fatalf("round %d: %v", n, err)
		}
		all.Add(seen)
		revoked = append(revoked, auth)
		if all.Rounds%100 == 0 && all.Rounds < rounds {
			t.Log(all) // how far it is
		}
	}
	t.Log(all)
	if all.Twice != 0 || all.LateBytes != 0 || all.Late < rounds*racingFetchers {
		t.Error("a release too many")
	}
	if all.Released < rounds || all.Raced < rounds*8/10 {
		t.Error("there was no race")
	}
	s.noReleaseAfter(revoked)
}

// redeem fetches once and says what it came to.
func (s *stack) redeem(over *http.Client, token string, size int64) (history.Outcome, int64, error) {
	req, err := http.NewRequestWithContext(context.Background(), "GET", "https://"+s.address+"/v1/content", nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := over.Do(req)
	if err != nil {
		return history.Broken, 0, nil // it may have been committed
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	switch {
	case res.StatusCode == 404 && err == nil:
		return history.Refused, 0, nil
	case res.StatusCode == 503, res.StatusCode == 429: // others took the number of the use, again and again
		return history.Busy, 0, nil
	case res.StatusCode != 200:
		return 0, 0, fmt.Errorf("status %d, %w", res.StatusCode, err)
	case err != nil || n != size:
		return history.Broken, n, nil
	}
	return history.Released, n, nil
}

func (s *stack) tryRevoke(over *http.Client, a id.Authorization) error {
	req, err := http.NewRequestWithContext(context.Background(), "POST", "https://"+s.address+"/v1/authorizations/"+string(a)+"/revoke", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token("front-desk"))
	req.Header.Set("Content-Type", "application/json")
	res, err := over.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != 200 && res.StatusCode != 409 { // 409: an attempt before did it, and its answer was lost
		return fmt.Errorf("the revocation is answered %d", res.StatusCode)
	}
	return nil
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
