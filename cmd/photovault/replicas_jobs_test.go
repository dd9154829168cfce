package main

import (
	"context"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/id"
)

// stored counts the objects of an area that the bucket holds.
func (c *cluster) stored(area string) (n int) {
	c.Helper()
	all, err := s3test.NewClient(c, c.bucket).Versions(c.Context())
	c.must(err)
	for _, v := range all {
		if strings.Contains(v.Key, area) && path.Base(v.Key) != path.Base(path.Dir(v.Key)) { // the mark belongs to no photo
			n++
		}
	}
	return n
}

// ingested counts how often the log says that the photo became ready.
func (c *cluster) ingested(n int, p id.Patient, photo id.Photo) (times int) {
	c.Helper()
	var trail api.Trail
	c.must(c.client(n, consent.Privacy).Get(c.Context(), "/v1/audit/patients/"+string(p), &trail))
	for _, e := range trail.Entries {
		if e.Action == audit.PhotoIngest && e.Photo == photo {
			times++
		}
	}
	return times
}

// taken sends all of the photo to the n-th replica, and holds that one in the
// middle of taking it in: its first rendition is in the bucket, and the replica
// is not told until the returned function is called.
func (u *sealedUpload) taken(n int) (release func()) {
	u.c.Helper()
	proxy, stored, on := u.c.proxies[n], make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(stored) })
	proxy.Harm(nil, func(r *http.Response) error {
		var its int
		if r.Request.Method != http.MethodPut || !strings.Contains(r.Request.URL.Path, "/photos/") || r.StatusCode != http.StatusOK ||
			u.c.db.QueryRow(`SELECT count(*) FROM object WHERE id = $1 AND owner = $2`, path.Base(r.Request.URL.Path), string(u.photo)).Scan(&its) != nil || its == 0 {
			return nil
		}
		first()
		<-on
		return nil
	})
	release = sync.OnceFunc(func() { close(on); proxy.Harm(nil, nil) })
	u.c.Cleanup(release)
	u.sendAll(n)
	select {
	case <-stored:
	case <-time.After(2 * time.Minute):
		u.c.Fatalf("%s does not take the photo in", u.c.replicas[n].name)
	}
	return release
}

func (u *sealedUpload) sendAll(n int) {
	u.c.Helper()
	if a := u.patch(u.c.wire(), n, 0, len(u.sealed)); a.status != http.StatusNoContent || a.offset != len(u.sealed) {
		u.c.Fatalf("%s: %+v", u.c.replicas[n].name, a)
	}
}

// Of two replicas in the middle of an ingest one dies and the other freezes.
// The third takes both photos; what the frozen one still does when it is back
// counts for nothing and leaves nothing.
func testJobsMove(t *testing.T, c *cluster) {
	patient := c.patient()
	a, b := c.replicas[0], c.replicas[1]
	lost, late := c.upload(0, patient, largePhoto(t)), c.upload(1, patient, largePhoto(t))
	before := c.stored("photos/")
	b.freeze()
	c.replicas[2].freeze()
	died := lost.taken(0)
	a.freeze() // it keeps the lease for now
	b.thaw()
	thawed := late.taken(1)
	b.freeze()
	a.kill()
	died()
	c.replicas[2].thaw()
	began := time.Now()
	unready := c.unready(2)
	lost.ready(2)
	took := time.Since(began)
	late.ready(2)
	t.Logf("a killed replica's photo was ready at another after %v, a frozen one's after %v", took.Round(10*time.Millisecond), time.Since(began).Round(10*time.Millisecond))
	a.start("--sweep-age", "1ms") // its first sweep takes what the dead and the frozen one planned
	c.await("the sweep", time.Minute, func() bool { return c.count(`SELECT count(*) FROM object WHERE state <> 'live'`) == 0 })
	b.thaw()
	thawed()
	c.await("a late commit to be fenced off", time.Minute, func() bool { return c.stored("photos/") == before+6 && c.stored("staging/") == 0 })
	if n := unready(); n > 0 {
		t.Errorf("the surviving replica was unready %d times", n)
	}
	for _, u := range []*sealedUpload{lost, late} {
		if n := c.ingested(1, patient, u.photo); n != 1 {
			t.Errorf("the log says %d times that the photo is ready", n)
		}
		if n := c.count(`SELECT count(*) FROM object WHERE owner = $1 AND state = 'live'`, string(u.photo)); n != 3 {
			t.Errorf("%d renditions", n)
		}
	}
	a.kill()
	a.start()
}

// unready asks a replica for its readiness until the returned function is
// called, which says how often it was not.
func (c *cluster) unready(n int) (stop func() int) {
	over, done := c.wire(), make(chan struct{})
	var times atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			res, err := over.Get(c.replicas[n].url("/readyz"))
			if err != nil || res.StatusCode != http.StatusOK {
				times.Add(1)
			}
			if err == nil {
				_ = res.Body.Close()
			}
		}
	})
	return func() int { close(done); wg.Wait(); return int(times.Load()) }
}

// A replica that is frozen with a transaction open, such as one whose machine
// is gone, does not keep the others from chaining the log: releases go on.
func testFrozenInTransaction(t *testing.T, c *cluster) {
	if os.Getenv("PHOTOVAULT_SOAK_ROUNDS") == "" {
		t.Log("not in the short run: it waits longer than the log may stand still")
		return
	}
	held := func() int {
		return c.count(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	}
	for _, other := range []int{1, 2} { // alone it takes the lock
		c.replicas[other].freeze()
	}
	ctx, stop := context.WithCancel(c.Context())
	var busy sync.WaitGroup
	for range 4 { // there is something to chain
		busy.Go(func() {
			for ctx.Err() == nil {
				_ = c.client(0, consent.Privacy).Get(ctx, "/v1/audit?limit=1", nil) // is frozen now and then
			}
		})
	}
	defer busy.Wait()
	defer stop()
	c.await("the lock of a frozen replica", 60*time.Second, func() bool {
		if held() == 0 {
			return false
		}
		c.replicas[0].freeze()
		time.Sleep(20 * time.Millisecond) // what it had asked is answered
		if held() > 0 {
			return true
		}
		c.replicas[0].thaw()
		return false
	})
	stop()
	c.replicas[1].thaw()
	c.replicas[2].thaw()
	began, unready := time.Now(), c.unready(2)
	free := c.await("the lock to be free", 20*time.Second, func() bool { return held() == 0 })
	for time.Since(began) < 14*time.Second {
		time.Sleep(100 * time.Millisecond)
	}
	if n := unready(); n > 0 {
		t.Errorf("unready %d times", n)
	}
	t.Logf("the lock of a frozen replica was free after %v", free.Round(10*time.Millisecond))
	c.replicas[0].thaw()
}
