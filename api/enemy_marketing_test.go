package api_test

import (
	"fmt"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// publisher is what marketing has of two photos under two authorizations, and
// what it had under a third, which was revoked.
type publisher struct {
	*enemy
	photos  []id.Photo     // of each photo and authorization: the photo,
	asks    []api.NewToken // what is asked for,
	sums    []string       // and what is delivered
	held    []api.Token    // tokens for them; none: one is asked for each time
	keys    []row          // of the copies, in the same order; then the photos' own
	objects []blobs.Name
	ended   row       // the key's row of the third
	late    api.Token // for its copy
}

func newPublisher(t *testing.T) *publisher {
	s := newStack(t)
	p := &publisher{enemy: &enemy{stack: s, db: s.stores.raw(s), tally: map[string]int{}}}
	patient := s.consented()
	photos := []*api.Photo{s.ready(patient, small), s.ready(patient, func() []byte { return jpegOf(72, 48) })}
	keyOf := func(photo id.Photo, a id.Authorization) row {
		for _, r := range p.rows("photo_key") {
			if r.get("photo") == string(photo) && r.get("authorization_id") == string(a) {
				return r
			}
		}
		t.Fatalf("no key of %s under %q", photo, a)
		return row{}
	}
	recipients := []string{studio, "Another Studio"}
	for _, recipient := range recipients {
		in := s.newAuthorization(patient)
		in.Recipients = []string{recipient}
		a := s.authorize(in)
		for _, photo := range photos {
			ask := s.forMarketing()
			ask.Recipient = recipient
			token := into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), ask), 201)
			p.photos, p.asks = append(p.photos, photo.ID), append(p.asks, ask)
			p.sums = append(p.sums, digest(s.fetch("GET", token).ok(200).body))
			p.keys = append(p.keys, keyOf(photo.ID, a))
			p.objects = append(p.objects, blobs.Name{Practice: s.practice, Area: blobs.Photos, Object: s.copiesOf(photo.ID, a).Copies[0].Object})
		}
	}
	for _, photo := range photos {
		p.keys = append(p.keys, keyOf(photo.ID, ""))
	}
	third := s.newAuthorization(patient)
	third.Recipients = []string{"A Third Studio"}
	a := s.authorize(third)
	p.late = s.marketed(photos[0].ID, func(in *api.NewToken) { in.Recipient, in.Campaign = "A Third Studio", s.campaignFor("A Third Studio") })
	for range 2 { // each comes down, and marketing is to be told of each
		s.fetch("GET", p.late).ok(200)
	}
	p.ended = keyOf(photos[0].ID, a)
	s.revoke(a)
	return p
}

// campaignFor is another one, for that recipient.
func (s *stack) campaignFor(recipient string) id.Campaign {
	s.Helper()
	now := s.clock.now().UTC()
	return into[api.Campaign](s.ask("POST", "/v1/campaigns", s.token("marketing"), api.NewCampaign{Name: "Summer", Purpose: advertising,
		Channels: consent.Channels, Recipients: []string{recipient}, From: now.Add(-time.Hour), Until: now.AddDate(1, 0, 0)}), 201).ID
}

// request asks for a token of the i-th.
func (p *publisher) request(i int) answer {
	p.Helper()
	return p.ask("POST", "/v1/photos/"+string(p.photos[i])+"/tokens", p.token("marketing"), p.asks[i], odd)
}

// served fetches all of them: how many are refused. What is served must be the
// very copy, and nothing is served of what was revoked.
func (p *publisher) served(what string) (refused int) {
	p.Helper()
	for i := range p.asks {
		var token api.Token
		if p.held != nil {
			token = p.held[i]
		} else if a := p.request(i); a.status != 201 {
			refused++
			continue
		} else {
			token = into[api.Token](a, 201)
		}
		switch a := p.fetch("GET", token, odd); {
		case a.status != 200:
			refused++
		case digest(a.body) != p.sums[i]:
			p.Errorf("%s: another picture was served of %d", what, i)
		}
	}
	if a := p.fetch("GET", p.late, odd); a.status/100 == 2 {
		p.Errorf("%s: a copy under a revoked authorization was served", what)
	}
	return refused
}

// attack does one thing, looks whether service or fsck notices, and undoes it.
func (p *publisher) attack(kind, what string, do, undo func()) {
	p.Helper()
	do()
	refused, found := p.served(kind+": "+what), p.fsck(true)
	undo()
	p.tally[kind+" cases"]++
	if refused > 0 {
		p.tally[kind+" refused in service"]++
	}
	if len(found) > 0 {
		p.tally[kind+" found by fsck"]++
	}
	if refused == 0 && len(found) == 0 {
		p.Errorf("%s: %s was noticed by nobody", kind, what)
	}
}

// swap exchanges a column of two rows of a table.
func (p *publisher) swap(kind, table, column string, rows []row) {
	pairs(len(rows), func(i, j int) {
		p.attack(kind, fmt.Sprintf("%s.%s %d and %d", table, column, i, j),
			func() {
				p.update(table, rows[i], column, rows[j].get(column))
				p.update(table, rows[j], column, rows[i].get(column))
			},
			func() {
				p.update(table, rows[i], column, rows[i].get(column))
				p.update(table, rows[j], column, rows[j].get(column))
			})
	})
}

func TestAnEnemyAtMarketingsCopiesMessagesAndTexts(t *testing.T) {
	p := newPublisher(t)
	south := p.neighbour()
	for _, s := range []*stack{p.stack, south} {
		first := into[api.Template](s.ask("POST", "/v1/templates", s.token("privacy"), newTemplate("")), 201)
		s.ask("POST", "/v1/templates", s.token("privacy"), newTemplate(first.ID)).ok(201)
	}
	p.intact()
	if refused := p.served("nothing yet"); refused != 0 || t.Failed() {
		t.Fatalf("before anything was done: %d refused", refused)
	}
	p.atCopies()
	p.atMessages()
	p.atTexts(south)
	p.atVolumes()
	if refused := p.served("all undone"); refused != 0 {
		t.Errorf("the attacks were not undone: %d refused", refused)
	}
	p.intact()
	for _, kind := range []string{"keys of copies swapped", "copies swapped", "keys and copies swapped", "tokens of copies swapped", "a copy's key put back", "messages", "texts", "volumes"} {
		t.Logf("%-26s %3d cases, %3d refused in service, %3d found by fsck", kind, p.tally[kind+" cases"], p.tally[kind+" refused in service"], p.tally[kind+" found by fsck"])
	}
}

// atCopies swaps keys and objects between photos and between authorizations,
// and puts back what a revocation took.
func (p *publisher) atCopies() {
	p.swap("keys of copies swapped", "photo_key", "sealed", p.keys)
	content := make([][]byte, len(p.objects))
	for i, o := range p.objects {
		content[i] = p.stored(o)
	}
	exchange := func(i, j int) {
		a, b := p.stored(p.objects[i]), p.stored(p.objects[j])
		p.replace(p.objects[i], b)
		p.replace(p.objects[j], a)
	}
	pairs(len(p.objects), func(i, j int) {
		what := fmt.Sprintf("%d and %d", i, j)
		p.attack("copies swapped", what, func() { exchange(i, j) }, func() { exchange(i, j) })
		p.attack("keys and copies swapped", what, func() {
			exchange(i, j)
			p.update("photo_key", p.keys[i], "sealed", p.keys[j].get("sealed"))
			p.update("photo_key", p.keys[j], "sealed", p.keys[i].get("sealed"))
		}, func() {
			exchange(i, j)
			p.update("photo_key", p.keys[i], "sealed", p.keys[i].get("sealed"))
			p.update("photo_key", p.keys[j], "sealed", p.keys[j].get("sealed"))
		})
	})
	for i := range p.asks {
		p.asks[i].Uses = consent.Marketing.Terms(consent.InHeader).Uses
		p.held = append(p.held, into[api.Token](p.request(i), 201))
		p.asks[i].Uses = 0
	}
	var tokens []row
	for _, r := range p.rows("token") {
		for _, t := range p.held {
			if r.get("id") == string(t.ID) {
				tokens = append(tokens, r)
			}
		}
	}
	for _, column := range []string{"sealed", "authorization_id", "photo"} {
		list := tokens
		if column != "sealed" { // only what differs
			list = tokens[:0:0]
			seen := map[any]bool{}
			for _, r := range tokens {
				if !seen[r.get(column)] {
					list = append(list, r)
				}
				seen[r.get(column)] = true
			}
		}
		p.swap("tokens of copies swapped", "token", column, list)
	}
	p.held = nil
	remove := func() {
		p.exec(`DELETE FROM photo_key WHERE practice = $1 AND authorization_id = $2`, p.practice, p.ended.get("authorization_id"))
	}
	p.attack("a copy's key put back", "as it was", func() { p.insert("photo_key", p.ended) }, remove)
	now := p.rows("photo_key")
	under := p.ended.with("authorization_id", p.keys[0].get("authorization_id"))
	p.attack("a copy's key put back", "under another authorization", func() {
		p.update("photo_key", under, "sealed", p.ended.get("sealed"))
	}, func() { p.put("photo_key", now) })
}

// atMessages: what marketing was to be told.
func (p *publisher) atMessages() {
	now := p.rows("outbox")
	if len(now) < 2 {
		p.Fatalf("only %d messages wait", len(now))
	}
	p.swap("messages", "outbox", "sealed", now[:2])
	back := func() { p.put("outbox", now) }
	p.attack("messages", "one is removed", func() { p.exec(`DELETE FROM outbox WHERE practice = $1 AND id = $2`, p.practice, now[0].get("id")) }, back)
	p.attack("messages", "one goes to another audience", func() { p.update("outbox", now[0], "audience", "alerts") }, back)
	p.attack("messages", "a copy of one", func() { p.insert("outbox", now[0].with("id", string(id.New[id.Notice]()))) }, back)
	p.attack("messages", "all are removed", func() { p.exec(`DELETE FROM outbox WHERE practice = $1`, p.practice) }, back)
}

// atTexts: what patients of this practice sign, and of another.
func (p *publisher) atTexts(south *stack) {
	now := p.rows("template")
	theirs := (&enemy{stack: south, db: p.db}).rows("template")
	back := func() { p.put("template", now) }
	p.swap("texts", "template", "sealed", now)
	p.attack("texts", "another practice's in this one's place", func() { p.update("template", now[0], "sealed", theirs[0].get("sealed")) }, back)
	p.attack("texts", "another practice's beside", func() { p.insert("template", theirs[0].with("practice", string(p.practice))) }, back)
	p.attack("texts", "the newest version is removed", func() {
		p.exec(`DELETE FROM template WHERE practice = $1 AND version = 2`, p.practice)
	}, back)
}

// atVolumes: an account begins its count anew.
func (p *publisher) atVolumes() {
	now := p.rows("volume")
	if len(now) == 0 {
		p.Fatal("no account was counted")
	}
	back := func() { p.put("volume", now) }
	p.attack("volumes", "removed", func() { p.exec(`DELETE FROM volume WHERE practice = $1`, p.practice) }, back)
	p.attack("volumes", "another version", func() {
		p.exec(`UPDATE volume SET version = 1 WHERE practice = $1 AND version > 1`, p.practice)
	}, back)
	p.exec(`DELETE FROM volume WHERE practice = $1`, p.practice)
	if a := p.request(0); a.status/100 == 2 {
		p.Error("an account whose count was taken away begins anew")
	}
	back()
}
