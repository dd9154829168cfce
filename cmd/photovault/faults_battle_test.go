package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// battle is some rounds of a fault: a patient of its own, of whom photos are
// sent and read while it lasts.
type battle struct {
	*testing.T
	site    *site
	fault   fault
	sum     *tallied
	witness *witness
	patient id.Patient
	shown   *api.Photo // was ready before the first fault

	mu       sync.Mutex
	photos   map[id.Photo][sha256.Size]byte // acknowledged whole in this round
	released map[id.Token]bool              // of which bytes came
	acks     atomic.Int64                   // PATCHes that were answered
}

// specimens are the photos that are sent, made once.
var specimens = sync.OnceValue(func() (list [][]byte) {
	for seed := range uint64(4) {
		list = append(list, specimen.JPEG(specimen.Full(400, 300, 100+seed)))
	}
	return list
})

func newBattle(t *testing.T, s *site, f fault, sum *tallied) *battle {
	b := &battle{T: t, site: s, fault: f, sum: sum, photos: map[id.Photo][sha256.Size]byte{}, released: map[id.Token]bool{}}
	b.witness = &witness{sum: sum, kills: f.kills, fail: func(text string) { t.Error(text) }}
	return b
}

func (b *battle) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *battle) count(n *int) {
	b.sum.mu.Lock()
	defer b.sum.mu.Unlock()
	*n++
}

// round: all is well, the fault comes and goes, and all is well again.
func (b *battle) round() {
	b.sum.rounds++
	providers := b.site.clients(b.T, consent.Provider)
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	if b.shown == nil {
		b.admit(providers[0])
		b.send(ctx, providers[0], 0)
		b.shown = b.settled(ctx, providers[0])[0]
	}
	clear(b.photos)
	b.acks.Store(0)

	load, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	defer func() { cancel(); clients.Wait() }() // also where the fault could not be done
	for i := range max(2, len(providers)) {
		through := providers[i%len(providers)].Through(b.witness.wrap)
		clients.Go(func() {
			for n := i; load.Err() == nil && !b.Failed(); n++ {
				b.send(ctx, through, n)
				pause(load, 500*time.Millisecond) // no more than can be taken in
			}
		})
		clients.Go(func() {
			for load.Err() == nil && !b.Failed() {
				b.read(ctx, through, b.shown, load)
			}
		})
	}
	clients.Go(func() { b.watch(load, providers[0]) })
	waitFor(b.T, 20*time.Second, func() bool { return b.acks.Load() > 2 })
	b.fault.begin(b.T)
	late := b.witness.late.Load()
	pause(load, b.fault.lasts)
	b.fault.heal(b.T)
	healed := time.Now()
	stop()
	clients.Wait()
	b.sum.felt = b.sum.felt || b.witness.late.Load() > late
	if b.Failed() {
		return
	}
	for _, p := range b.settled(ctx, providers[0]) {
		b.read(ctx, providers[0], p, nil)
	}
	b.sum.recovery = max(b.sum.recovery, time.Since(healed))
	b.logged()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// admit makes the patient of this round.
func (b *battle) admit(c *client.Client) {
	b.Helper()
	var p api.Patient
	b.must(c.Post(b.Context(), "/v1/patients", api.NewPatient{RecordNumber: string(id.New[id.Patient]())}, &p))
	b.patient = p.ID
	b.must(c.Post(b.Context(), "/v1/consents", api.NewClinical{Patient: p.ID, Signer: consent.Signer{Name: "Pat Example"},
		SignedAt: time.Now().Add(-time.Minute).UTC()}, nil))
}

// send uploads one photo as a tablet does: what fails it tries again until
// the photo is acknowledged whole. What was acknowledged of an upload never
// moves back.
func (b *battle) send(ctx context.Context, through *client.Client, n int) {
	photo := specimens()[n%len(specimens())]
	o := client.PutOptions{Photo: api.NewPhoto{Patient: string(b.patient), Device: string(id.New[id.Device]()), Capture: string(id.New[id.Capture]())},
		Pinned: b.site.signing, Practice: b.site.practice, Chunk: int64(len(photo)/6 + 1)}
	for {
		high := int64(0)
		o.Progress = func(n, _ int64) {
			if n < high {
				b.count(&b.sum.lost)
				b.Errorf("an upload fell from %d to %d acknowledged bytes", high, n)
			}
			high = max(high, n)
			b.acks.Add(1)
			pause(ctx, 25*time.Millisecond) // as slow as Wi-Fi
		}
		p, err := through.Put(ctx, bytes.NewReader(photo), o)
		if err == nil {
			b.count(&b.sum.acknowledged)
			b.site.sent.Add(1)
			b.mu.Lock()
			b.photos[p.ID] = sha256.Sum256(photo)
			b.mu.Unlock()
			return
		}
		if ctx.Err() != nil || b.Failed() {
			if ctx.Err() == context.DeadlineExceeded {
				b.Errorf("an upload never got through: %v", err)
			}
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// read fetches a photo for care, trying again with a new token until it comes
// or, if there is a load, that ends.
func (b *battle) read(ctx context.Context, through *client.Client, photo *api.Photo, load context.Context) {
	at := slices.IndexFunc(photo.Renditions, func(r api.Rendition) bool { return r.Name == "web" })
	for {
		var token api.Token
		got := sha256.New()
		n := int64(0)
		err := through.Post(ctx, "/v1/photos/"+string(photo.ID)+"/tokens",
			api.NewToken{Purpose: consent.ForCare, Rendition: "web", Form: consent.InHeader}, &token)
		if err == nil {
			n, err = through.Content(ctx, token, got)
		}
		if n > 0 {
			b.mu.Lock()
			b.released[token.ID] = true
			b.mu.Unlock()
		}
		switch {
		case err == nil && hex.EncodeToString(got.Sum(nil)) == photo.Renditions[at].SHA256:
			b.count(&b.sum.deliveries)
			pause(ctx, 100*time.Millisecond)
			return
		case err == nil:
			b.count(&b.sum.half)
			b.Errorf("%d bytes of %d came as a whole photo", n, photo.Renditions[at].Size)
			return
		case load != nil && load.Err() != nil, b.Failed(), ctx.Err() == context.Canceled:
			return
		case ctx.Err() == context.DeadlineExceeded:
			b.Errorf("a photo was never delivered: %v", err)
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// watch looks at the patient's photos all the time: one is ready with all its
// renditions, or has none.
func (b *battle) watch(load context.Context, through *client.Client) {
	for load.Err() == nil {
		var list api.PhotoList
		if err := through.Get(load, "/v1/photos?patient="+string(b.patient), &list); err == nil {
			for _, p := range list.Photos {
				if ready := p.State == vault.Ready; ready && len(p.Renditions) != 3 || !ready && len(p.Renditions) != 0 {
					b.count(&b.sum.half)
					b.Errorf("photo %s is %s and has %d renditions", p.ID, p.State, len(p.Renditions))
				}
			}
		}
		pause(load, 200*time.Millisecond)
	}
}

// settled waits until each photo that was acknowledged is ready, and compares
// it with what was sent.
func (b *battle) settled(ctx context.Context, through *client.Client) (list []*api.Photo) {
	b.Helper()
	for photo, sum := range b.photos {
		var receipt vault.Receipt
		p, err := b.await(ctx, through, photo)
		if err == nil {
			err = through.Get(ctx, "/v1/photos/"+string(photo)+"/receipt", &receipt)
		}
		if err != nil {
			b.count(&b.sum.lost)
			b.Fatalf("an acknowledged photo is not there: %v", err)
		}
		if receipt.Findings.InputSHA256 != hex.EncodeToString(sum[:]) || len(p.Renditions) != 3 {
			b.count(&b.sum.half)
			b.Errorf("photo %s is another than was sent: %d renditions", photo, len(p.Renditions))
		}
		list = append(list, p)
	}
	return list
}

// await is Client.Await that goes on where an answer is that the service is
// not well yet.
func (b *battle) await(ctx context.Context, through *client.Client, photo id.Photo) (*api.Photo, error) {
	for {
		p, err := through.Await(ctx, photo)
		if err == nil || ctx.Err() != nil || client.Code(err) != "unavailable" {
			return p, err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// logged: of whatever bytes came, the log has the intent.
func (b *battle) logged() {
	b.Helper()
	var trail api.Trail
	b.must(b.site.clients(b.T, consent.Privacy)[0].Get(b.Context(), "/v1/audit/patients/"+string(b.patient), &trail))
	intents := map[id.Token]bool{}
	for _, e := range trail.Entries {
		if e.Action == audit.Release && e.Outcome == audit.Intent {
			intents[id.Token(e.Subject)] = true
		}
	}
	for token := range b.released {
		if !intents[token] {
			b.count(&b.sum.unlogged)
			b.Errorf("bytes were delivered for token %s and the log does not say so", token)
		}
	}
	if len(b.released) == 0 {
		b.Error("nothing was delivered in this round")
	}
}
