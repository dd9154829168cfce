package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault/id"
)

// target is where uploads go: a service, or the floor where client is nil.
type target struct {
	base    string
	client  *client.Client // of a provider
	patient id.Patient
}

// bulk is one upload that is never finished: what is measured is how bytes
// are received, not what becomes of them.
type bulk struct {
	over     *http.Client
	url      string
	grant    string
	at, size int
}

func (t target) bulk(ctx context.Context, over *http.Client, size int) (*bulk, error) {
	if t.client == nil {
		return &bulk{over: over, url: t.base + "/" + string(id.New[id.Upload]()), size: size}, nil
	}
	var declared api.PhotoDeclared
	err := t.client.Post(ctx, "/v1/photos", api.NewPhoto{Patient: string(t.patient), Device: string(id.New[id.Device]()), Capture: string(id.New[id.Capture]())}, &declared)
	if err != nil {
		return nil, err
	}
	u := &bulk{over: over, url: t.base + "/v1/uploads", grant: declared.Grant, size: size}
	res, err := u.send(ctx, http.MethodPost, map[string]string{"Upload-Length": strconv.Itoa(size)}, nil)
	if err == nil && res.StatusCode != http.StatusCreated {
		err = errors.New(res.Status)
	}
	if err != nil {
		return nil, err
	}
	u.url = t.base + res.Header.Get("Location")
	return u, nil
}

func (u *bulk) send(ctx context.Context, method string, header map[string]string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+u.grant)
	req.Header.Set("Tus-Resumable", "1.0.0")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := u.over.Do(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res, errors.Join(err, res.Body.Close())
}

// patch sends the next bytes.
func (u *bulk) patch(ctx context.Context, b []byte) (*http.Response, error) {
	res, err := u.send(ctx, http.MethodPatch, map[string]string{"Upload-Offset": strconv.Itoa(u.at), "Content-Type": "application/offset+octet-stream"}, b)
	if err == nil && res.StatusCode == http.StatusNoContent {
		u.at += len(b)
	}
	return res, err
}

func trusting(b testing.TB, caFile string) *http.Client {
	b.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 256}
	b.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// BenchmarkUpload sends sealed bytes over loopback TLS, eight uploads at once in
// PATCHes of 4 MiB, each acknowledged when it is durable: to the embedded
// service, to one and to three replicas on production's stores, and to the
// floor, in one run. MB/s is of bytes that were acknowledged.
func BenchmarkUpload(b *testing.B) {
	v := newVault(b)
	over := trusting(b, home(v.home).tls("ca.pem"))
	h := home(v.home)
	address := filepath.Join(b.TempDir(), "address")
	floor := exec.Command(os.Args[0], "upload-floor", address, b.TempDir(), h.tls("server.pem"), h.tls("server.key"))
	floor.Stderr = os.Stderr
	if err := floor.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = floor.Process.Kill(); _ = floor.Wait() })
	waitFor(b, 10*time.Second, func() bool { _, err := os.Stat(address); return err == nil })
	at, err := os.ReadFile(address)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("floor", func(b *testing.B) { uploads(b, over, []target{{base: "https://" + strings.TrimSpace(string(at))}}) })
	b.Run("embedded", func(b *testing.B) { uploads(b, over, []target{v.target(b)}) })
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("replicas=%d", n), func(b *testing.B) {
			c := newCluster(b, n)
			uploads(b, c.wire(), c.targets())
		})
	}
	b.Run("floor again", func(b *testing.B) { uploads(b, over, []target{{base: "https://" + strings.TrimSpace(string(at))}}) })
}

func (v *vaultProcess) target(b testing.TB) target {
	b.Helper()
	return target{v.server(), v.site(b).clients(b, consent.Provider)[0], id.Patient(v.patientWithConsent("MRN-" + string(id.New[id.Patient]())))}
}

func (c *cluster) targets() (list []target) {
	p := c.patient()
	for n, r := range c.replicas {
		list = append(list, target{"https://" + r.address, c.client(n, consent.Provider), p})
	}
	return list
}

func uploads(b *testing.B, over *http.Client, to []target) {
	const senders, piece, pieces = 8, 4 << 20, 3
	noise := make([]byte, piece)
	_, _ = rand.Read(noise) // never fails
	b.SetBytes(senders * piece * pieces)
	for b.Loop() {
		b.StopTimer()
		var list []*bulk
		for i := range senders {
			u, err := to[i%len(to)].bulk(b.Context(), over, 60<<20)
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, u)
		}
		b.StartTimer()
		var wg sync.WaitGroup
		for i, u := range list {
			wg.Go(func() {
				for n := range pieces {
					if u.grant != "" { // each PATCH of one upload goes to another replica
						u.url = to[(i+n)%len(to)].base + u.url[strings.Index(u.url, "/v1/"):]
					}
					if res, err := u.patch(b.Context(), noise); err != nil || res.StatusCode != http.StatusNoContent {
						b.Errorf("PATCH: %v %v", res, err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		for _, u := range list {
			if u.grant == "" {
				continue
			}
			if res, err := u.send(b.Context(), http.MethodDelete, nil, nil); err != nil || res.StatusCode != http.StatusNoContent {
				b.Errorf("DELETE: %v %v", res, err)
			}
		}
		b.StartTimer()
	}
}

// BenchmarkReadUnderOverload fetches a photo for care, token and content, while
// nothing else happens and while more uploads are sent than memory is lent to:
// five accounts with sixteen bodies of 4 MiB each at once, of which 48 MiB are
// let in. What the uploads are told is counted.
func BenchmarkReadUnderOverload(b *testing.B) {
	v := newVault(b)
	over := trusting(b, home(v.home).tls("ca.pem"))
	v.stop()
	v.start("--sweep-age", "15m") // as it is shipped: what is late is not swept
	reader := v.target(b)
	conf, err := home(v.home).loadSettings()
	if err != nil {
		b.Fatal(err)
	}
	put, err := reader.client.Put(b.Context(), bytes.NewReader(specimen.JPEG(specimen.Full(1600, 1200, 7))), client.PutOptions{
		Photo: api.NewPhoto{Patient: string(reader.patient)}, Pinned: conf.UploadSigningKey, Practice: conf.Practice})
	if err != nil {
		b.Fatal(err)
	}
	photo, err := reader.client.Await(b.Context(), put.ID)
	if err != nil {
		b.Fatal(err)
	}
	var idle time.Duration
	b.Run("idle", func(b *testing.B) { idle = v.reads(b, reader.client, photo.ID) })
	b.Run("overload", func(b *testing.B) {
		load, stop := context.WithCancel(b.Context())
		var senders sync.WaitGroup
		defer func() { stop(); senders.Wait() }()
		var accepted, told, failed atomic.Int64
		noise := make([]byte, 4<<20)
		_, _ = rand.Read(noise) // never fails
		for n := range 5 {
			role := fmt.Sprintf("provider-%d", n)
			v.tokens[role] = v.must("admin", "user", "add", "Provider "+role, "--role", "provider")
			cl, err := client.New(v.server(), v.tokens[role], []byte(conf.CA))
			if err != nil {
				b.Fatal(err)
			}
			var p api.Patient
			if err := cl.Post(b.Context(), "/v1/patients", api.NewPatient{RecordNumber: role}, &p); err != nil {
				b.Fatal(err)
			}
			if err := cl.Post(b.Context(), "/v1/consents", api.NewClinical{Patient: p.ID, Signer: consent.Signer{Name: "Pat Example"},
				SignedAt: time.Now().Add(-time.Minute).UTC()}, nil); err != nil {
				b.Fatal(err)
			}
			for range 16 {
				senders.Go(func() {
					to := target{v.server(), cl, p.ID}
					for load.Err() == nil {
						u, err := to.bulk(load, over, 60<<20)
						for err == nil && load.Err() == nil && u.at < 56<<20 {
							var res *http.Response
							if res, err = u.patch(load, noise); err != nil {
								break
							}
							switch {
							case res.StatusCode == http.StatusNoContent:
								accepted.Add(1)
							case (res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusTooManyRequests) && res.Header.Get("Retry-After") != "":
								told.Add(1)
								pause(load, time.Second)
							default:
								err = errors.New(res.Status)
							}
						}
						if err == nil && load.Err() == nil {
							var res *http.Response
							if res, err = u.send(load, http.MethodDelete, nil, nil); err == nil && res.StatusCode != http.StatusNoContent {
								err = errors.New("DELETE: " + res.Status)
							}
						}
						if err != nil && load.Err() == nil && failed.Add(1) == 1 {
							b.Logf("the first that failed: %v", err)
						}
					}
				})
			}
		}
		waitFor(b, 30*time.Second, func() bool { return accepted.Load() > 50 })
		busy := v.reads(b, reader.client, photo.ID)
		b.ReportMetric(float64(busy)/float64(max(1, idle)), "p99-of-idle")
		b.ReportMetric(float64(told.Load())/float64(accepted.Load()+told.Load()), "told-to-wait")
		if failed.Load() > 0 {
			b.Errorf("%d uploads failed other than by 503 and 429", failed.Load())
		}
	})
}

// reads fetches the web rendition again and again, and returns the 99th
// percentile of how long that takes.
func (v *vaultProcess) reads(b *testing.B, through *client.Client, photo id.Photo) time.Duration {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		var token api.Token
		err := through.Post(b.Context(), "/v1/photos/"+string(photo)+"/tokens", api.NewToken{Purpose: consent.ForCare, Rendition: "web", Form: consent.InHeader}, &token)
		if err == nil {
			_, err = through.Content(b.Context(), token, io.Discard)
		}
		if err != nil {
			b.Fatalf("a clinical read failed: %v", err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[min(len(took)-1, int(q*float64(len(took))))] }
	b.ReportMetric(float64(at(0.5).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(at(0.99).Microseconds())/1000, "p99-ms")
	return at(0.99)
}

// listenFor listens on loopback and says where in a file.
func listenFor(file string) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l, writeDurable(file, []byte(l.Addr().String()), 0o600)
}
