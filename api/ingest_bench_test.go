package api_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"photovault/imaging/specimen"
	"photovault/vault"
)

// twelveMegapixels is a camera's photo where there is one, else a generated one.
func twelveMegapixels(b *testing.B) []byte {
	b.Helper()
	dir := os.Getenv("PHOTOVAULT_PHOTOS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "photos")
	}
	found, err := filepath.Glob(filepath.Join(dir, "*12mp*.jpg"))
	if err == nil && len(found) > 0 {
		photo, err := os.ReadFile(found[0])
		if err != nil {
			b.Fatal(err)
		}
		return photo
	}
	return specimen.JPEG(specimen.Options{Width: 4032, Height: 3024, Quality: 92, Seed: 5})
}

// cpu is what this process (client and service) and its ended media workers used.
func cpu(b *testing.B) (own, workers time.Duration) {
	b.Helper()
	used := func(who int) time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return used(syscall.RUSAGE_SELF), used(syscall.RUSAGE_CHILDREN)
}

// BenchmarkIngest takes sealed 12 MP photos from the first byte of the upload
// until they are ready, two at a time, on the embedded stores or, with
// PHOTOVAULT_TEST_STORES=real, on those of production mode. The floor is the
// media workers alone on the same photo. With -cpuprofile, pprof -cum splits
// the service's own time further.
func BenchmarkIngest(b *testing.B) {
	s := newStack(b)
	jpeg := twelveMegapixels(b)
	patient := s.consented()
	const photos, clients = 8, 2
	b.Run("photovault", func(b *testing.B) {
		var own, workers, receiving time.Duration
		for b.Loop() {
			b.StopTimer()
			shots := make(chan *shot, photos)
			for range photos {
				shots <- s.declare(patient, jpeg)
			}
			close(shots)
			own0, workers0 := cpu(b)
			b.StartTimer()
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for shot := range shots {
						began := time.Now()
						up := s.create(shot.Grant, len(shot.sealed))
						s.patch(up, shot.Grant, 0, shot.sealed).ok(204)
						took := time.Since(began)
						mu.Lock()
						receiving += took
						mu.Unlock()
						s.await(shot.Photo.ID, vault.Ready)
					}
				})
			}
			wg.Wait()
			own1, workers1 := cpu(b)
			own, workers = own+own1-own0, workers+workers1-workers0
		}
		n := float64(photos * b.N)
		b.ReportMetric(n/b.Elapsed().Seconds(), "photos/s")
		b.ReportMetric(workers.Seconds()/n, "cpu-s-sanitise/photo")
		b.ReportMetric(own.Seconds()/n, "cpu-s-rest/photo") // of client and service: TLS twice, open, seal, store
		b.ReportMetric(receiving.Seconds()/n, "s-receive/photo")
	})
	b.Run("floor", func(b *testing.B) {
		pool, err := media()
		s.must(err)
		_, workers0 := cpu(b)
		for b.Loop() {
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for range photos / clients {
						_, err := pool.Process(context.Background(), jpeg)
						s.must(err)
					}
				})
			}
			wg.Wait()
		}
		_, workers1 := cpu(b)
		n := float64(photos * b.N)
		b.ReportMetric(n/b.Elapsed().Seconds(), "photos/s")
		b.ReportMetric((workers1-workers0).Seconds()/n, "cpu-s-sanitise/photo")
	})
}
