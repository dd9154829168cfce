package s3_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/id"
	"photovault/vault/vaulttest/devstack"
)

func TestDeleteRemovesEveryVersionAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		for _, history := range [][]string{{""}, {"", "Enabled"}, {"Enabled"}, {"Enabled", "Suspended"}, {"Enabled", "Suspended", "Enabled"}} {
			o := s3test.Bucket(t, server, ca)
			c := s3test.NewClient(t, o)
			s := open(t, o)
			n := newName()
			beside := n.String() + "0"
			for _, state := range history {
				if state != "" {
					c.Versioning(t, state)
				}
				// Another tool writes and deletes.
				c.Must(t, http.MethodPut, n.String(), "", nil, []byte("one"))
				c.Must(t, http.MethodPut, n.String(), "", nil, []byte("two"))
				if len(history) > 1 {
					c.Must(t, http.MethodDelete, n.String(), "", nil, nil)
				}
				c.Must(t, http.MethodPut, n.String(), "", nil, []byte("three"))
			}
			c.Must(t, http.MethodPut, beside, "", nil, []byte("beside"))
			for range 2 {
				if err := s.Delete(t.Context(), n); err != nil {
					t.Fatalf("%q: %v", history, err)
				}
			}
			left, err := c.Versions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(left) != 1 || left[0].Key != beside {
				t.Errorf("%q: left are %v", history, left)
			}
			// One that was deleted by a marker only is absent, and goes too. (A
			// name is used once: versitygw 1.8 with its metadata in a sidecar
			// does not give a name back whose versions were removed.)
			if history[len(history)-1] == "Enabled" {
				n := newName()
				put(t, s, n, []byte("x"))
				c.Must(t, http.MethodDelete, n.String(), "", nil, nil)
				if _, err := got(s, t.Context(), n, 0, -1); !errors.Is(err, blobs.ErrNotFound) {
					t.Errorf("behind a marker: %v", err)
				}
				if err := s.Delete(t.Context(), n); err != nil {
					t.Error(err)
				}
				if left, err := c.Versions(t.Context()); err != nil || len(left) != 1 {
					t.Errorf("%q: left are %v, %v", history, left, err)
				}
			}
		}
	})
}

func TestRetention(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		o := s3test.BucketWith(t, server, ca, s3test.Setup{ObjectLock: true})
		c := s3test.NewClient(t, o)
		o.RetentionDays = 2
		s := open(t, o)
		// Retained for as long as a PUT and a DELETE may take; it ends meanwhile.
		short := newName()
		c.Must(t, http.MethodPut, short.String(), "", http.Header{
			"X-Amz-Object-Lock-Mode":              {"COMPLIANCE"},
			"X-Amz-Object-Lock-Retain-Until-Date": {time.Now().UTC().Add(10 * time.Second).Format(time.RFC3339)},
		}, []byte("x"))
		if err := s.Delete(t.Context(), short); !errors.Is(err, s3.ErrRetained) {
			t.Errorf("%v, want ErrRetained", err)
		}

		photo, staged := newName(), newName()
		staged.Area = blobs.Staging
		large := newName()
		put(t, s, photo, []byte("photo"))
		put(t, s, staged, []byte("staged"))
		b := noise(9 << 20)
		if err := s.Put(t.Context(), large, stream(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		for _, n := range []blobs.Name{photo, large} {
			head := c.Must(t, http.MethodHead, n.String(), "", nil, nil).Header
			until, err := time.Parse(time.RFC3339, head.Get("x-amz-object-lock-retain-until-date"))
			if err != nil || time.Until(until) < 47*time.Hour || time.Until(until) > 49*time.Hour || head.Get("x-amz-object-lock-mode") != "GOVERNANCE" {
				t.Errorf("retained until %v by %s, %v", until, head.Get("x-amz-object-lock-mode"), err)
			}
			err = s.Delete(t.Context(), n)
			if !errors.Is(err, blobs.ErrUnavailable) || !errors.Is(err, s3.ErrRetained) || !strings.Contains(err.Error(), until.UTC().Format(time.RFC3339)) {
				t.Errorf("%v, want ErrRetained until %v", err, until)
			}
		}
		if back, err := got(s, t.Context(), photo, 0, -1); err != nil || string(back) != "photo" {
			t.Errorf("it is there still: %q, %v", back, err)
		}
		if err := s.Delete(t.Context(), staged); err != nil {
			t.Errorf("a staged upload is not retained: %v", err)
		}

		hold := newName()
		c.Must(t, http.MethodPut, hold.String(), "", http.Header{"X-Amz-Object-Lock-Legal-Hold": {"ON"}}, []byte("x"))
		if err := s.Delete(t.Context(), hold); !errors.Is(err, s3.ErrRetained) || !strings.Contains(err.Error(), "legal hold") {
			t.Errorf("%v, want ErrRetained by a legal hold", err)
		}
		c.Must(t, http.MethodPut, hold.String(), "legal-hold=", nil, []byte(`<LegalHold xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>OFF</Status></LegalHold>`))
		if err := s.Delete(t.Context(), hold); err != nil {
			t.Error(err)
		}

		for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
			err := s.Delete(t.Context(), short)
			if err == nil {
				break
			}
			if !errors.Is(err, s3.ErrRetained) || time.Now().After(deadline) {
				t.Errorf("once retention has ended: %v", err)
				break
			}
		}
	})
}

func TestFirmRetentionIsAskedFor(t *testing.T) {
	stack := devstack.Need(t)
	for _, server := range stack.S3 {
		p, o := behind(t, stack, s3test.BucketWith(t, server, stack.CA, s3test.Setup{ObjectLock: true}))
		o.RetentionDays, o.LockMode = 1, s3.Compliance
		s := open(t, o)
		p.harm(func(w http.ResponseWriter, r *http.Request) bool { // not let through: nobody could remove it
			return isObject(r, http.MethodPut) && said(w, "")
		}, nil)
		put(t, s, newName(), []byte("x"))
		if mode := p.requests()[0].Header.Get("X-Amz-Object-Lock-Mode"); mode != "COMPLIANCE" {
			t.Errorf("mode %q", mode)
		}
	}
}

func TestListGoesOnPastAPage(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		o := s3test.Bucket(t, server, ca)
		o.Prefix = "practices/one"
		s := open(t, o)
		first := newName()
		want := map[blobs.Name]bool{}
		names := make(chan blobs.Name, 1100)
		for range cap(names) {
			n := first
			n.Object = id.New[id.Object]()
			want[n] = true
			names <- n
		}
		close(names)
		failed := make(chan error, 16)
		for range cap(failed) {
			go func() {
				for n := range names {
					if err := s.Put(t.Context(), n, bytes.NewReader([]byte("x")), 1); err != nil {
						failed <- err
						return
					}
				}
				failed <- nil
			}()
		}
		for range cap(failed) {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		}
		// What is no object is passed over.
		c := s3test.NewClient(t, o)
		folder := o.Prefix + "/photos/" + string(first.Practice) + "/"
		for _, foreign := range []string{"README", "0/" + string(id.New[id.Object]()), strings.ToUpper(string(id.New[id.Object]())), string(id.New[id.Object]()) + "~", "ümlaut +%2f&"} {
			c.Must(t, http.MethodPut, folder+foreign, "", nil, []byte("x"))
		}
		c.Must(t, http.MethodPut, strings.TrimPrefix(folder, o.Prefix+"/")+string(id.New[id.Object]()), "", nil, []byte("x"))
		seen := 0
		if err := s.List(t.Context(), first.Practice, first.Area, func(n blobs.Name, size int64) error {
			if !want[n] || size != 1 {
				t.Errorf("%s of %d bytes", n, size)
			}
			delete(want, n)
			if seen++; seen%500 == 0 { // what f does is allowed to change what is listed
				return s.Delete(t.Context(), n)
			}
			return nil
		}); err != nil || seen != 1100 || len(want) > 0 {
			t.Errorf("%d listed, %d missing, %v", seen, len(want), err)
		}
	})
}

func TestTwoPrefixesAreApart(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		o := s3test.Bucket(t, server, ca)
		other := o
		o.Prefix, other.Prefix = "one/", "two"
		one, two := open(t, o), open(t, other)
		n := newName()
		put(t, one, n, []byte("one"))
		if _, err := got(two, t.Context(), n, 0, -1); !errors.Is(err, blobs.ErrNotFound) {
			t.Error(err)
		}
		if err := two.Delete(t.Context(), n); err != nil {
			t.Error(err)
		}
		if b, err := got(one, t.Context(), n, 0, -1); err != nil || string(b) != "one" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestListThatNeverEndsOrIsAnothersIsRefused(t *testing.T) {
	stack := devstack.Need(t)
	p, o := behind(t, stack, s3test.Bucket(t, stack.S3[0], stack.CA))
	s := open(t, o)
	n := newName()
	folder := "photos/" + string(n.Practice) + "/"
	for what, keys := range map[string][]string{
		"the same page again": {folder + string(n.Object), folder + string(n.Object)},
		"another practice's":  {"photos/" + string(id.New[id.Practice]()) + "/" + string(n.Object)},
		"backwards":           {folder + "b", folder + "a"},
	} {
		p.harm(func(w http.ResponseWriter, r *http.Request) bool {
			var body strings.Builder
			for _, k := range keys {
				body.WriteString("<Contents><Key>" + k + "</Key><Size>1</Size></Contents>")
			}
			return said(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"+body.String()+"</ListBucketResult>")
		}, nil)
		err := s.List(t.Context(), n.Practice, n.Area, func(blobs.Name, int64) error { return nil })
		if !errors.Is(err, blobs.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.harm(func(w http.ResponseWriter, r *http.Request) bool { // more than is kept in memory
		said(w, "<ListBucketResult>")
		for range 20 << 10 {
			said(w, strings.Repeat("<X>"+strings.Repeat("x", 1000)+"</X>", 1))
		}
		return said(w, "</ListBucketResult>")
	}, nil)
	if err := s.List(t.Context(), n.Practice, n.Area, func(blobs.Name, int64) error { return nil }); !errors.Is(err, blobs.ErrUnavailable) || !strings.Contains(err.Error(), "too long") {
		t.Errorf("20 MB of answer: %v", err)
	}
}
