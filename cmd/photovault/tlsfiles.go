package main

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateFiles serves a certificate from two files and reads them again
// when they change, so that a renewal needs no restart.
type certificateFiles struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	read   [2]fs.FileInfo // of the files that pair is from
	looked time.Time
}

// lookEvery is how soon a renewed certificate is served.
const lookEvery = 10 * time.Second

// newCertificateFiles reads the files once; what is wrong with them is said now.
func newCertificateFiles(cert, key string, log *slog.Logger) (*certificateFiles, error) {
	c := &certificateFiles{cert: cert, key: key, log: log}
	return c, c.load()
}

func (c *certificateFiles) load() error {
	infos, err := c.stat()
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	c.pair, c.read, c.looked = &pair, infos, time.Now()
	return nil
}

func (c *certificateFiles) stat() (infos [2]fs.FileInfo, err error) {
	for i, path := range []string{c.cert, c.key} {
		if infos[i], err = os.Stat(path); err != nil {
			return infos, err
		}
	}
	return infos, nil
}

// get is tls.Config.GetCertificate. Files that cannot be read, or do not
// belong together yet, leave the old certificate in place.
func (c *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookEvery {
		return c.pair, nil
	}
	c.looked = time.Now()
	infos, err := c.stat()
	if err == nil && unchanged(infos, c.read) {
		return c.pair, nil
	}
	if err == nil {
		err = c.load()
	}
	if err != nil {
		c.log.Error("the certificate was not renewed; the old one is served on", "error", err)
		return c.pair, nil
	}
	c.log.Info("a renewed certificate is served", "until", c.pair.Leaf.NotAfter)
	return c.pair, nil
}

func unchanged(a, b [2]fs.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// config is the server's TLS: 1.2 and above, Go's own cipher suites.
func (c *certificateFiles) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}
