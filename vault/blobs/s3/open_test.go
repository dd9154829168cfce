package s3_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/vaulttest/devstack"
)

// refused checks that Open names a fault.
func refused(t *testing.T, o s3.Options, faults ...string) {
	t.Helper()
	s, err := s3.Open(t.Context(), o)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, s3.ErrConfiguration) {
		t.Fatalf("%v, want ErrConfiguration", err)
	}
	for _, f := range faults {
		if !strings.Contains(err.Error(), f) {
			t.Errorf("%v\ndoes not say: %s", err, f)
		}
	}
	if o.SecretKey != "" && strings.Contains(err.Error(), o.SecretKey) {
		t.Error("the error shows the secret key")
	}
}

func TestEveryFaultOfTheOptionsIsNamedAtOnce(t *testing.T) {
	err := s3.Options{
		Endpoint: "http://store.example:9000", Bucket: "My.Bucket", Prefix: "../x", SecretKey: "short", CredentialsFile: "also",
		RetentionDays: -1, LockMode: "firm", Encryption: "rot13", KMSKey: "k", Timeout: time.Nanosecond, Budget: time.Hour,
	}.Check()
	var f s3.Faults
	if !errors.As(err, &f) || !errors.Is(err, s3.ErrConfiguration) || len(f) != 12 {
		t.Errorf("%d faults: %v", len(f), err)
	}
	good := s3.Options{Endpoint: "https://store.example", Region: "eu-central-1", Bucket: "photos-1", AccessKey: "a", SecretKey: "14 characters."}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*s3.Options){
		"must begin with https":     func(o *s3.Options) { o.Endpoint = "http://store.example" },
		"cannot be read":            func(o *s3.Options) { o.Endpoint = "https://user:hunter2@store example" },
		"is missing":                func(o *s3.Options) { o.Endpoint = "" },
		"more than scheme":          func(o *s3.Options) { o.Endpoint = "https://user:hunter2@store.example" },
		"names no host":             func(o *s3.Options) { o.Endpoint = "https://" },
		"the region must be":        func(o *s3.Options) { o.Region = "" },
		"the bucket's name":         func(o *s3.Options) { o.Bucket = "../etc" },
		"the prefix":                func(o *s3.Options) { o.Prefix = "Name Of A Patient" },
		"fewer than 14":             func(o *s3.Options) { o.SecretKey = "13 characters" },
		"access key is missing":     func(o *s3.Options) { o.AccessKey = "" },
		"give one of a credentials": func(o *s3.Options) { o.AccessKey, o.SecretKey = "", "" },
		"a KMS key is given":        func(o *s3.Options) { o.KMSKey = "alias" },
	} {
		o := good
		change(&o)
		err := o.Check()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestOptionsShowNoSecret(t *testing.T) {
	o := s3.Options{Endpoint: "https://store.example", AccessKey: "the-access-key", SecretKey: "the-secret-key", SessionToken: "the-token"}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "options", o)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		log.WriteString(fmt.Sprintf(verb, o) + fmt.Sprintf(verb, &o))
	}
	if strings.Contains(log.String(), "the-") || strings.Contains(log.String(), "7468652d") {
		t.Errorf("a secret is in %s", log.String())
	}
}

func TestStoreShowsNoSecret(t *testing.T) {
	stack := devstack.Need(t)
	o := s3test.Bucket(t, stack.S3[0], stack.CA)
	s := open(t, o)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if shown := fmt.Sprintf(verb, s); strings.Contains(shown, o.SecretKey) || strings.Contains(shown, o.AccessKey) {
			t.Errorf("%s shows the credentials", verb)
		}
	}
}

func TestFilesThatAreNotRight(t *testing.T) {
	o := s3.Options{Endpoint: "https://127.0.0.1:1", Region: "r", Bucket: "bucket", Timeout: 100 * time.Millisecond, Budget: 200 * time.Millisecond}
	folder := t.TempDir()
	for name, x := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"open to others": {`{"access_key":"a","secret_key":"0123456789abcdef"}`, 0o644, "chmod 600"},
		"not JSON":       {`secret_key=0123456789abcdef`, 0o600, "is not {"},
		"another field":  {`{"access_key":"a","secret_key":"0123456789abcdef","user":"x"}`, 0o600, "is not {"},
		"two":            {`{"access_key":"a","secret_key":"0123456789abcdef"}{}`, 0o600, "is not {"},
		"short":          {`{"access_key":"a","secret_key":"0123456789abc"}`, 0o600, "fewer than 14"},
		"empty":          {``, 0o600, "is not {"},
	} {
		o := o
		o.CredentialsFile = filepath.Join(folder, name)
		if err := os.WriteFile(o.CredentialsFile, []byte(x.content), x.mode); err != nil {
			t.Fatal(err)
		}
		o.CAFile = o.CredentialsFile
		refused(t, o, x.want, "no PEM certificate")
		if _, err := s3.Open(t.Context(), o); strings.Contains(err.Error(), "0123456789abc") {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
	o.CredentialsFile, o.CAFile = filepath.Join(folder, "missing"), folder
	refused(t, o, "credentials file", "CA file")
}

func TestBucketThatMayNotBeUsed(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		good := s3test.Bucket(t, server, ca)
		with := func(change func(*s3.Options)) s3.Options {
			o := good
			change(&o)
			return o
		}
		refused(t, with(func(o *s3.Options) { o.Bucket = "pv-no-such-bucket-here" }), "there is no bucket")
		refused(t, with(func(o *s3.Options) { o.Region = "us-east-1" }), "not in us-east-1, where photos must stay")
		refused(t, with(func(o *s3.Options) { o.SecretKey = "another secret key" }), "credentials are refused")
		refused(t, with(func(o *s3.Options) { o.AccessKey = "NOBODY" }), "credentials are refused")
		refused(t, with(func(o *s3.Options) { o.RetentionDays = 30 }), "no Object Lock")

		for _, public := range []string{
			`{"Effect":"Allow","Principal":"*","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::` + good.Bucket + `"]}`,
			`{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + good.Bucket + `/photos/*"]}`,
			`{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + good.Bucket + `/staging/*"]}`,
		} {
			c := s3test.NewClient(t, good)
			c.Must(t, http.MethodPut, "", "policy=", nil, []byte(`{"Version":"2012-10-17","Statement":[`+public+`]}`))
			refused(t, good, "the bucket is public")
			c.Must(t, http.MethodDelete, "", "policy=", nil, nil)
		}
		open(t, good)

		defaults := s3test.BucketWith(t, server, ca, s3test.Setup{ObjectLock: true})
		s3test.NewClient(t, defaults).Must(t, http.MethodPut, "", "object-lock=", nil,
			[]byte(`<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`))
		refused(t, defaults, "default retention")

		o := good
		o.CAFile = ""
		if _, err := s3.Open(t.Context(), o); !errors.Is(err, blobs.ErrUnavailable) && !errors.Is(err, s3.ErrConfiguration) || !strings.Contains(err.Error(), "not trusted") {
			t.Errorf("a certificate of an unknown authority: %v", err)
		}
	})
}

func TestServerThatMayNotBeUsed(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		p, o := behind(t, devstack.Need(t), s3test.Bucket(t, server, ca))
		for want, harm := range map[string]func(http.ResponseWriter, *http.Request) bool{
			"lies in eu-west-3": func(w http.ResponseWriter, r *http.Request) bool {
				return r.URL.Query().Has("location") && said(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-3</LocationConstraint>`)
			},
			"lies in us-east-1": func(w http.ResponseWriter, r *http.Request) bool {
				return r.URL.Query().Has("location") && said(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`)
			},
			"lies in eu-west-1": func(w http.ResponseWriter, r *http.Request) bool {
				return r.URL.Query().Has("location") && said(w, `<LocationConstraint>EU</LocationConstraint>`)
			},
			"lies in another region": func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("location") {
					answer(w, http.StatusMovedPermanently, "PermanentRedirect")
				}
				return r.URL.Query().Has("location")
			},
			"lies in ap-south-1": func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("location") {
					w.Header().Set("X-Amz-Bucket-Region", "ap-south-1")
					return said(w, `<LocationConstraint>`+o.Region+`</LocationConstraint>`)
				}
				return false
			},
			"is public": func(w http.ResponseWriter, r *http.Request) bool {
				return r.URL.Query().Has("policyStatus") && said(w, `<PolicyStatus><IsPublic>TRUE</IsPublic></PolicyStatus>`)
			},
			"MFA delete": func(w http.ResponseWriter, r *http.Request) bool {
				return r.URL.Query().Has("versioning") && said(w, `<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>`)
			},
			// What a server does that knows neither conditions nor checksums.
			"must honour conditional writes": func(w http.ResponseWriter, r *http.Request) bool {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				return isObject(r, http.MethodPut) && string(body) == "another object" && said(w, "")
			},
			"must verify x-amz-checksum-sha256": func(w http.ResponseWriter, r *http.Request) bool {
				return isObject(r, http.MethodPut) && strings.HasPrefix(r.Header.Get(checksum), "47DEQpj8") && said(w, "")
			},
			"must be consistent": func(w http.ResponseWriter, r *http.Request) bool {
				if isObject(r, http.MethodGet) {
					answer(w, http.StatusNotFound, "NoSuchKey")
					return true
				}
				return false
			},
			"objects cannot be removed": func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodDelete {
					answer(w, http.StatusForbidden, "AccessDenied")
				}
				return r.Method == http.MethodDelete
			},
		} {
			p.harm(harm, nil)
			refused(t, o, want)
		}
		p.harm(nil, func(r *http.Response) error {
			r.Header.Del(checksum)
			return nil
		})
		refused(t, o, "does not keep x-amz-checksum-sha256")

		p.harm(func(w http.ResponseWriter, r *http.Request) bool { // each of these may be forbidden
			if r.URL.RawQuery != "" && r.Header.Get("Authorization") != "" && !r.URL.Query().Has("location") {
				answer(w, http.StatusForbidden, "AccessDenied")
				return true
			}
			return false
		}, nil)
		refused(t, o, "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketPolicyStatus", "s3:ListBucketVersions")

		p.harm(func(w http.ResponseWriter, r *http.Request) bool {
			answer(w, http.StatusServiceUnavailable, "SlowDown")
			return true
		}, nil)
		o.Timeout, o.Budget = time.Second, time.Second
		_, err := s3.Open(t.Context(), o)
		if errors.Is(err, s3.ErrConfiguration) {
			t.Errorf("a busy server is no fault of the configuration: %v", err)
		}
		discreet(t, o, "open", err)
	})
}

const checksum = "X-Amz-Checksum-Sha256"

func said(w http.ResponseWriter, body string) bool {
	io.WriteString(w, body)
	return true
}

func TestNothingOfTheEnvironmentIsUsed(t *testing.T) {
	stack := devstack.Need(t)
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"credentials", "config"} {
		if err := os.WriteFile(filepath.Join(home, ".aws", f), []byte("[default]\naws_access_key_id=x\naws_secret_access_key=y\nregion=mars\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for k, v := range map[string]string{
		"HOME": home, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_SESSION_TOKEN": "z", "AWS_REGION": "mars", "AWS_CA_BUNDLE": "/dev/null",
		"AWS_ENDPOINT_URL": "https://127.0.0.1:1", "MINIO_ACCESS_KEY": "x", "MINIO_SECRET_KEY": "y", "HTTPS_PROXY": "https://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
		"SSL_CERT_FILE": "/dev/null",
	} {
		t.Setenv(k, v)
	}
	for _, server := range stack.S3 {
		if err := open(t, s3test.Bucket(t, server, stack.CA)).Ready(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestCredentialsFileIsReadAgain(t *testing.T) {
	stack := devstack.Need(t)
	for _, server := range stack.S3 {
		o := s3test.Bucket(t, server, stack.CA)
		file := filepath.Join(t.TempDir(), "credentials.json")
		write := func(secret string, mode os.FileMode) {
			t.Helper()
			b, err := json.Marshal(map[string]string{"access_key": o.AccessKey, "secret_key": secret})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file+".new", b, mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
		}
		write(o.SecretKey, 0o600)
		from := o
		from.AccessKey, from.SecretKey, from.CredentialsFile = "", "", file
		s := open(t, from)
		for range 2 {
			write("one that is no longer valid", 0o600)
			_, err := got(s, t.Context(), newName(), 0, -1)
			discreet(t, o, "invalid", err)
			write(o.SecretKey, 0o666)
			if err := os.Chmod(file, 0o666); err != nil {
				t.Fatal(err)
			}
			discreet(t, o, "open to others", s.Ready(t.Context()))
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			discreet(t, o, "missing", s.Ready(t.Context()))
			write(o.SecretKey, 0o600)
			if _, err := got(s, t.Context(), newName(), 0, -1); !errors.Is(err, blobs.ErrNotFound) {
				t.Errorf("a new file with good credentials: %v", err)
			}
		}
	}
}
