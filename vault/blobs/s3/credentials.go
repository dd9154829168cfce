package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// account is who signs.
type account struct {
	AccessKey    string `json:"access_key"`
	SecretKey    string `json:"secret_key"`
	SessionToken string `json:"session_token"`
}

func (a account) check() error {
	switch {
	case a.AccessKey == "":
		return errors.New("the access key is missing")
	case a.SecretKey == "":
		return errors.New("the secret key is missing")
	case len(a.SecretKey) < minSecret:
		return fmt.Errorf("the secret key has fewer than %d characters", minSecret)
	}
	return nil
}

// signing holds the account. With a file it looks, before each request,
// whether the file is another one than before, and reads that.
type signing struct {
	file string

	mu   sync.Mutex
	at   stamp
	seen account
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
	inode   any
}

func stampOf(info os.FileInfo) stamp {
	s := stamp{changed: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

const maxCredentials = 64 << 10

func newSigning(o Options) (*signing, error) {
	s := &signing{file: o.CredentialsFile, seen: account{o.AccessKey, o.SecretKey, o.SessionToken}}
	if o.CredentialsFile == "" {
		return s, nil
	}
	_, err := s.account()
	return s, err
}

// account returns who signs now. Of a file that has become unreadable nothing
// is used any more.
func (s *signing) account() (account, error) {
	if s.file == "" {
		return s.seen, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.Open(s.file)
	if err != nil {
		return account{}, fmt.Errorf("credentials file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return account{}, fmt.Errorf("credentials file: %w", err)
	}
	if at := stampOf(info); at != s.at {
		a, err := readAccount(f, info)
		if err != nil {
			return account{}, err
		}
		s.at, s.seen = at, a
	}
	return s.seen, nil
}

func readAccount(f *os.File, info os.FileInfo) (account, error) {
	if !info.Mode().IsRegular() {
		return account{}, errors.New("the credentials file is not a file")
	}
	if info.Mode().Perm()&0o037 != 0 {
		return account{}, fmt.Errorf("others may read or change the credentials file (mode %04o); run: chmod 600 %s", info.Mode().Perm(), f.Name())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCredentials))
	if err != nil {
		return account{}, fmt.Errorf("credentials file: %w", err)
	}
	var a account
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&a) != nil || d.More() { // its error may quote the file
		return account{}, errors.New(`the credentials file is not {"access_key": "…", "secret_key": "…"}`)
	}
	if err := a.check(); err != nil {
		return account{}, fmt.Errorf("credentials file: %w", err)
	}
	return a, nil
}

// Retrieve implements credentials.Provider.
func (s *signing) Retrieve() (credentials.Value, error) { return s.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (s *signing) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	a, err := s.account()
	if err != nil {
		return credentials.Value{}, credentialsError{err}
	}
	return credentials.Value{AccessKeyID: a.AccessKey, SecretAccessKey: a.SecretKey, SessionToken: a.SessionToken,
		SignerType: credentials.SignatureV4}, nil
}

// IsExpired implements credentials.Provider: a file is asked each time.
func (s *signing) IsExpired() bool { return s.file != "" }

func (s *signing) credentials() *credentials.Credentials { return credentials.New(s) }

// credentialsError is told as it is: it quotes nothing.
type credentialsError struct{ error }
