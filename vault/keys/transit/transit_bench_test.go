package transit_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

// bench is a service, and a bare POST of the same call to the same server.
type bench struct {
	s       *transit.Service
	context keys.Context
	wrapped []byte
	post    func(ctx context.Context, endpoint, body string) error
}

func newBench(b *testing.B) *bench {
	stack := devstack.Need(b)
	x := transittest.Make(b, stack.Transit, transittest.Settings{})
	s := open(b, x.Service)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	key.Destroy()
	return &bench{s, c, wrapped, poster(b, stack, x)}
}

// poster posts and throws the answer away.
func poster(b *testing.B, stack *devstack.Stack, x *transittest.Setup) func(context.Context, string, string) error {
	pem, err := os.ReadFile(stack.CA)
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	over := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64}
	b.Cleanup(over.CloseIdleConnections)
	client, token := &http.Client{Transport: over}, x.ServiceToken(b, time.Hour)
	return func(ctx context.Context, endpoint, body string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, stack.Transit.Address+"/v1/"+x.Mount+"/"+endpoint+"/"+x.Key, bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		req.Header.Set("X-Vault-Token", token)
		req.Header.Set("X-Vault-Request", "true")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
}

func (x *bench) newDataKey(ctx context.Context) error {
	k, _, err := x.s.NewDataKey(ctx, x.context)
	k.Destroy()
	return err
}

func (x *bench) unwrap(ctx context.Context) error {
	k, err := x.s.UnwrapDataKey(ctx, x.context, x.wrapped)
	k.Destroy()
	return err
}

func (x *bench) bareNewDataKey(ctx context.Context) error {
	return x.post(ctx, "datakey/plaintext", `{"context":"`+base64.StdEncoding.EncodeToString(x.context.Encode())+`"}`)
}

func (x *bench) bareUnwrap(ctx context.Context) error {
	return x.post(ctx, "decrypt", `{"ciphertext":"`+string(x.wrapped)+`","context":"`+base64.StdEncoding.EncodeToString(x.context.Encode())+`"}`)
}

// BenchmarkService compares each call with a bare POST of the same. "paired"
// and "8 at once" take turns and divide the bare call's median time by ours, so
// that whatever else the machine does hits both alike.
func BenchmarkService(b *testing.B) {
	x := newBench(b)
	for _, call := range []struct {
		name       string
		ours, bare func(context.Context) error
	}{{"NewDataKey", x.newDataKey, x.bareNewDataKey}, {"UnwrapDataKey", x.unwrap, x.bareUnwrap}} {
		for _, f := range []struct {
			name string
			call func(context.Context) error
		}{{call.name, call.ours}, {call.name + "/bare POST", call.bare}} {
			b.Run(f.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := f.call(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(call.name+"/paired", func(b *testing.B) { paired(b, 1, call.ours, call.bare) })
		b.Run(call.name+"/8 at once", func(b *testing.B) {
			paired(b, 80, eightAtOnce(b, call.ours), eightAtOnce(b, call.bare))
		})
	}
}

// eightAtOnce does 80 calls from 8 goroutines.
func eightAtOnce(b *testing.B, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		var g errgroup.Group
		for range 8 {
			g.Go(func() error {
				for range 10 {
					if err := f(ctx); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return g.Wait()
	}
}

// paired takes turns; each turn of f is n calls.
func paired(b *testing.B, n float64, ours, bare func(context.Context) error) {
	var a, z []time.Duration
	for b.Loop() {
		a, z = append(a, timed(b, ours)), append(z, timed(b, bare))
	}
	b.ReportMetric(median(z).Seconds()/median(a).Seconds(), "of-bare")
	b.ReportMetric(n/median(a).Seconds(), "calls/s")
	b.ReportMetric(0, "ns/op") // of both together: says nothing
}

func timed(b *testing.B, f func(context.Context) error) time.Duration {
	began := time.Now()
	if err := f(b.Context()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkRewrap shows keys a second by the size of the batch, against a bare
// POST of the same batch. ("calls" are keys there.)
func BenchmarkRewrap(b *testing.B) {
	x := newBench(b)
	for _, n := range []int{1, 10, 100, keys.MaxRewrap} {
		items, batch := make([]keys.Wrapped, n), make([]map[string]string, n)
		for i := range items {
			items[i] = keys.Wrapped{Context: x.context, Key: x.wrapped}
			batch[i] = map[string]string{"ciphertext": string(x.wrapped), "context": base64.StdEncoding.EncodeToString(x.context.Encode())}
		}
		body, err := json.Marshal(map[string]any{"batch_input": batch})
		if err != nil {
			b.Fatal(err)
		}
		ours := func(ctx context.Context) error {
			out, err := x.s.Rewrap(ctx, items)
			if err != nil {
				return err
			}
			return out[n-1].Err
		}
		b.Run(fmt.Sprintf("%d keys", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := ours(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "keys/s")
		})
		b.Run(fmt.Sprintf("%d keys/paired", n), func(b *testing.B) {
			paired(b, float64(n), ours, func(ctx context.Context) error { return x.post(ctx, "rewrap", string(body)) })
		})
	}
}

// BenchmarkDeadServer is what a call costs while the breaker is open.
func BenchmarkDeadServer(b *testing.B) {
	stack := devstack.Need(b)
	x := transittest.Make(b, stack.Transit, transittest.Settings{})
	p := newProxy(b, stack, stack.Transit.Address)
	o := x.Service
	o.Address = p.address
	s := open(b, o)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	key.Destroy()
	p.set(answer(http.StatusServiceUnavailable, `{"errors":["Vault is sealed"]}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.UnwrapDataKey(b.Context(), c, wrapped); err == nil {
			b.Fatal("served")
		}
	}
}
