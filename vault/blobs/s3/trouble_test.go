package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/id"
	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

func newName() blobs.Name {
	return blobs.Name{Practice: id.New[id.Practice](), Area: blobs.Photos, Object: id.New[id.Object]()}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func put(t *testing.T, s blobs.Store, n blobs.Name, b []byte) {
	t.Helper()
	if err := s.Put(t.Context(), n, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

func got(s blobs.Store, ctx context.Context, n blobs.Name, off, length int64) ([]byte, error) {
	r, _, err := s.Get(ctx, n, off, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// stream hides that a reader is in memory.
func stream(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

// discreet checks that an error is ErrUnavailable and quotes nothing.
func discreet(t *testing.T, o s3.Options, what string, err error) {
	t.Helper()
	if !errors.Is(err, blobs.ErrUnavailable) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%s: %v, want ErrUnavailable", what, err)
		return
	}
	for _, secret := range []string{o.AccessKey, o.SecretKey, "://", "AKIA", "secret=", "X-Amz", "?", "Signature="} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows what it should not", what)
		}
	}
}

// troubled is a store behind a proxy. Its limits only end a hang: a machine
// that is slow is not the trouble.
func troubled(t *testing.T, server devstack.S3) (*proxy, *s3.Store, s3.Options) {
	stack := devstack.Need(t)
	p, o := behind(t, stack, s3test.Bucket(t, server, stack.CA))
	o.Timeout, o.Budget = 30*time.Second, time.Minute
	return p, open(t, o), o
}

// impatient opens the same store with limits that are to be run into, as short
// as this machine can open a store within.
func impatient(t *testing.T, o s3.Options) (*s3.Store, s3.Options) {
	t.Helper()
	o.Timeout, o.Budget = 600*time.Millisecond, 1200*time.Millisecond
	for {
		s, err := s3.Open(t.Context(), o)
		if err == nil {
			t.Cleanup(func() { _ = s.Close() })
			return s, o
		}
		if !errors.Is(err, blobs.ErrUnavailable) || o.Budget > 30*time.Second {
			t.Fatal(err)
		}
		o.Timeout, o.Budget = 2*o.Timeout, 2*o.Budget
	}
}

func TestConnectionCutDuringPut(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, _ string) {
		p, s, o := troubled(t, server)
		for _, where := range []struct {
			name string
			do   func(w http.ResponseWriter, r *http.Request)
		}{
			{"before the body", func(w http.ResponseWriter, _ *http.Request) { faultproxy.CutOff(w) }},
			{"within the body", func(w http.ResponseWriter, r *http.Request) {
				io.CopyN(io.Discard, r.Body, r.ContentLength/2)
				faultproxy.CutOff(w)
			}},
			{"after the body", func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				faultproxy.CutOff(w)
			}},
		} {
			var cuts atomic.Int32
			for _, times := range []int32{1, 100} {
				cuts.Store(times)
				p.harm(func(w http.ResponseWriter, r *http.Request) bool {
					if isObject(r, http.MethodPut) && cuts.Add(-1) >= 0 {
						where.do(w, r)
						return true
					}
					return false
				}, nil)
				n, b := newName(), noise(300_000)
				err := s.Put(t.Context(), n, bytes.NewReader(b), int64(len(b)))
				if times == 1 {
					if back, got := got(s, t.Context(), n, 0, -1); err != nil || !bytes.Equal(back, b) {
						t.Errorf("%s, once: put %v, %d bytes back, %v", where.name, err, len(back), got)
					}
					continue
				}
				discreet(t, o, where.name, err)
				if _, err := got(s, t.Context(), n, 0, -1); !errors.Is(err, blobs.ErrNotFound) {
					t.Errorf("%s, always: %v, want ErrNotFound", where.name, err)
				}
			}
			// A stream cannot be sent again.
			cuts.Store(1)
			n, b := newName(), noise(9<<20)
			discreet(t, o, "stream cut "+where.name, s.Put(t.Context(), n, stream(b), int64(len(b))))
			if err := s.Put(t.Context(), n, stream(b), int64(len(b))); err != nil {
				t.Errorf("stream, next time: %v", err)
			}
		}
	})
}

func TestPutWithAnUnknownOutcomeIsSettled(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, _ string) {
		p, s, _ := troubled(t, server)
		var cuts atomic.Int32
		lost := func(r *http.Response) error {
			if isObject(r.Request, http.MethodPut) && cuts.Add(-1) >= 0 {
				return errors.New("lost")
			}
			return nil
		}
		p.harm(nil, lost)
		for _, size := range []int{0, 1000, 9 << 20} {
			for how, reader := range map[string]func([]byte) io.Reader{"memory": func(b []byte) io.Reader { return bytes.NewReader(b) }, "stream": stream} {
				cuts.Store(1)
				n, b := newName(), noise(size)
				if err := s.Put(t.Context(), n, reader(b), int64(size)); err != nil {
					t.Errorf("%d bytes, %s: stored, and its answer lost: %v", size, how, err)
				}
				cuts.Store(1) // the answer that the name is taken
				if err := s.Put(t.Context(), n, reader(noise(size+1)), int64(size+1)); !errors.Is(err, blobs.ErrExists) {
					t.Errorf("%d bytes, %s: another object: %v, want ErrExists", size, how, err)
				}
				if back, err := got(s, t.Context(), n, 0, -1); err != nil || !bytes.Equal(back, b) {
					t.Errorf("%d bytes, %s: %d back, %v", size, how, len(back), err)
				}
			}
		}
	})
}

func TestAlteredOnTheWay(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, _ string) {
		p, s, o := troubled(t, server)
		for how, reader := range map[string]func([]byte) io.Reader{"memory": func(b []byte) io.Reader { return bytes.NewReader(b) }, "stream": stream} {
			b := noise(9 << 20)
			for _, at := range []int64{0, 4_000_000, 9<<20 - 1} {
				if how == "stream" {
					at += 100 // behind the first chunk's header
				}
				n := newName()
				p.harm(func(_ http.ResponseWriter, r *http.Request) bool {
					if isObject(r, http.MethodPut) {
						r.Body = &faultproxy.Flipped{ReadCloser: r.Body, At: at}
					}
					return false
				}, nil)
				err := s.Put(t.Context(), n, reader(b), int64(len(b)))
				discreet(t, o, how, err)
				p.harm(nil, nil)
				if _, err := got(s, t.Context(), n, 0, -1); !errors.Is(err, blobs.ErrNotFound) {
					t.Errorf("%s, bit %d flipped on the way there: %v", how, at, err)
				}
			}
		}
		n, b := newName(), noise(2<<20)
		put(t, s, n, b)
		for _, at := range []int64{0, 1 << 20, 2<<20 - 1} {
			p.harm(nil, func(r *http.Response) error {
				if isObject(r.Request, http.MethodGet) {
					r.Body = &faultproxy.Flipped{ReadCloser: r.Body, At: at}
				}
				return nil
			})
			back, err := got(s, t.Context(), n, 0, -1)
			discreet(t, o, "get", err)
			if !errors.Is(err, s3.ErrChecksum) || len(back) >= len(b) {
				t.Errorf("bit %d flipped on the way back: %d bytes, %v, want ErrChecksum", at, len(back), err)
			}
		}
	})
}

func TestConnectionCutDuringGet(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, _ string) {
		p, s, o := troubled(t, server)
		n, b := newName(), noise(1<<20)
		put(t, s, n, b)
		for _, x := range []struct{ off, n int64 }{{0, -1}, {10, -1}, {10, 500_000}} {
			for _, left := range []int64{0, 1, 400_000} {
				p.harm(nil, func(r *http.Response) error {
					if isObject(r.Request, http.MethodGet) {
						r.Body = &faultproxy.Broken{ReadCloser: r.Body, Left: left}
					}
					return nil
				})
				back, err := got(s, t.Context(), n, x.off, x.n)
				discreet(t, o, fmt.Sprintf("%d from %d cut after %d", x.n, x.off, left), err)
				if int64(len(back)) > left {
					t.Errorf("%d bytes of %d", len(back), left)
				}
			}
		}
	})
}

func TestServerThatLies(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, _ string) {
		p, s, o := troubled(t, server)
		n, b := newName(), noise(100_000)
		put(t, s, n, b)
		for what, header := range map[string]func(http.Header){
			"a shorter length":     func(h http.Header) { h.Set("Content-Length", "99000") },
			"a longer length":      func(h http.Header) { h.Set("Content-Length", "101000") },
			"no length":            func(h http.Header) { h.Del("Content-Length") },
			"no range":             func(h http.Header) { h.Del("Content-Range") },
			"another range":        func(h http.Header) { h.Set("Content-Range", "bytes 6-100004/200000") },
			"a range without end":  func(h http.Header) { h.Set("Content-Range", "bytes 5-99999/*") },
			"a range beyond":       func(h http.Header) { h.Set("Content-Range", "bytes 5-100004/100000") },
			"a range of nonsense":  func(h http.Header) { h.Set("Content-Range", "bytes 5") },
			"a broken checksum":    func(h http.Header) { h.Set("X-Amz-Checksum-Sha256", "AAAA") },
			"another's checksum":   func(h http.Header) { h.Set("X-Amz-Checksum-Sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=") },
			"no date, no checksum": func(h http.Header) { h.Del("Last-Modified") },
		} {
			p.harm(nil, func(r *http.Response) error {
				if !isObject(r.Request, http.MethodGet) {
					return nil
				}
				header(r.Header)
				return nil
			})
			for _, off := range []int64{0, 5} {
				back, err := got(s, t.Context(), n, off, -1)
				if err == nil && !bytes.Equal(back, b[off:]) {
					t.Errorf("%s: %d bytes from %d and no error", what, len(back), off)
				}
				if err != nil {
					discreet(t, o, what, err)
				}
			}
		}
	})
}

func TestSlowDown(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, _ string) {
		p, s, o := troubled(t, server)
		there, b := newName(), noise(1000)
		put(t, s, there, b)
		calls := map[string]func() error{
			"put":   func() error { return s.Put(t.Context(), newName(), bytes.NewReader(b), 1000) },
			"get":   func() error { _, err := got(s, t.Context(), there, 0, -1); return err },
			"range": func() error { _, err := got(s, t.Context(), there, 1, 10); return err },
			"end":   func() error { _, err := got(s, t.Context(), there, 1000, -1); return err },
			"list": func() error {
				return s.List(t.Context(), there.Practice, there.Area, func(blobs.Name, int64) error { return nil })
			},
			"delete": func() error { return s.Delete(t.Context(), newName()) },
		}
		for _, x := range []struct {
			status int
			code   string
		}{{503, "SlowDown"}, {500, "InternalError"}, {409, "ConditionalRequestConflict"}, {502, "not XML"}} {
			for what, call := range calls {
				if what != "put" && x.code != "SlowDown" {
					continue
				}
				var times atomic.Int32
				p.harm(func(w http.ResponseWriter, r *http.Request) bool {
					if times.Add(-1) < 0 {
						return false
					}
					io.Copy(io.Discard, r.Body)
					answer(w, x.status, x.code)
					return true
				}, nil)
				times.Store(2)
				if err := call(); err != nil {
					t.Errorf("%s, %s twice: %v", what, x.code, err)
				}
			}
		}
		p.harm(func(w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			answer(w, 503, "SlowDown")
			return true
		}, nil)
		var wg sync.WaitGroup
		for what, call := range calls {
			wg.Go(func() {
				start := time.Now()
				discreet(t, o, what, call())
				if took := time.Since(start); took > o.Budget {
					t.Errorf("%s took %v", what, took)
				}
			})
		}
		wg.Wait()
		if n := len(p.requests()); n > 5*len(calls) {
			t.Errorf("%d requests for %d calls", n, len(calls))
		}
	})
}

func TestRefusalIsToldAtOnce(t *testing.T) {
	stack := devstack.Need(t)
	p, s, o := troubled(t, stack.S3[0])
	n := newName()
	for _, code := range []string{"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "RequestTimeTooSkewed", "NoSuchBucket"} {
		p.harm(func(w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			answer(w, 403, code)
			return true
		}, nil)
		_, err := got(s, t.Context(), n, 0, -1)
		discreet(t, o, "get", err)
		discreet(t, o, "put", s.Put(t.Context(), n, bytes.NewReader(nil), 0))
		discreet(t, o, "list", s.List(t.Context(), n.Practice, n.Area, func(blobs.Name, int64) error { return nil }))
		discreet(t, o, "delete", s.Delete(t.Context(), n))
		discreet(t, o, "ready", s.Ready(t.Context()))
		if len(p.requests()) > 5 {
			t.Errorf("%s: %d requests for 5 calls", code, len(p.requests()))
		}
	}
}

func TestHangingServer(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, _ string) {
		p, s, o := troubled(t, server)
		there, b := newName(), noise(1<<20)
		put(t, s, there, b)
		release := make(chan struct{})
		defer close(release)
		hang := func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return true
		}
		quick, short := impatient(t, o)
		p.harm(hang, nil)
		const never = 2 * time.Minute
		ends := func(what string, call func(context.Context) error) {
			t.Helper()
			start := time.Now()
			discreet(t, o, what, call(t.Context()))
			if took := time.Since(start); took > never {
				t.Errorf("%s took %v", what, took)
			}
		}
		var wg sync.WaitGroup
		for what, call := range map[string]func(context.Context) error{
			"put":    func(ctx context.Context) error { return quick.Put(ctx, newName(), bytes.NewReader(b), 1<<20) },
			"get":    func(ctx context.Context) error { _, err := got(quick, ctx, there, 0, -1); return err },
			"delete": func(ctx context.Context) error { return quick.Delete(ctx, there) },
		} {
			wg.Go(func() { ends(what, call) })
		}
		wg.Wait()
		ends("ready", quick.Ready)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now() // the store itself would wait for longer
		if err := s.Put(ctx, newName(), bytes.NewReader(b), 1<<20); !errors.Is(err, blobs.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > o.Timeout {
			t.Errorf("the caller's deadline: %v after %v", err, time.Since(start))
		}

		// Half a body, then silence.
		p.harm(nil, func(r *http.Response) error {
			if isObject(r.Request, http.MethodGet) {
				r.Body = &silent{ReadCloser: r.Body, left: 1000, until: release}
			}
			return nil
		})
		ends("silent body", func(ctx context.Context) error { _, err := got(quick, ctx, there, 0, -1); return err })
		// A reader that takes its time is not the server's silence. A slow machine
		// may be silent as well; a pause that was counted would be so each time.
		p.harm(nil, nil)
		var (
			rest []byte
			err  error
		)
		for began := time.Now(); time.Since(began) < never; {
			if rest, err = lingering(quick, t.Context(), there, 10, short.Timeout+300*time.Millisecond); err == nil {
				break
			}
		}
		if err != nil || !bytes.Equal(rest, b[10:]) {
			t.Errorf("a slow reader: %d bytes, %v", len(rest), err)
		}
	})
}

// lingering reads an object's first bytes, pauses, and returns the rest.
func lingering(s blobs.Store, ctx context.Context, n blobs.Name, first int, pause time.Duration) ([]byte, error) {
	r, _, err := s.Get(ctx, n, 0, -1)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(r, make([]byte, first)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	time.Sleep(pause)
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// silent gives left bytes and then nothing.
type silent struct {
	io.ReadCloser
	left  int64
	until chan struct{}
}

func (s *silent) Read(p []byte) (int, error) {
	if s.left == 0 {
		<-s.until
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}
