package main

import (
	"bytes"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestARenewedCertificateIsServedWithoutARestart(t *testing.T) {
	h := home(t.TempDir())
	if err := os.Mkdir(h.path("tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		must(h.makeAuthority(time.Now(), nil))
		var log bytes.Buffer
		c, err := newCertificateFiles(h.tls("server.pem"), h.tls("server.key"), slog.New(slog.NewTextHandler(&log, nil)))
		must(err)
		served := func() []byte {
			t.Helper()
			pair, err := c.config().GetCertificate(nil)
			must(err)
			return pair.Leaf.Raw
		}
		first := served()
		// Half a renewal: the key of another pair.
		key, err := os.ReadFile(h.tls("server.key"))
		must(err)
		must(h.issueCertificate(time.Now(), nil))
		renewed, err := os.ReadFile(h.tls("server.key"))
		must(err)
		must(os.WriteFile(h.tls("server.key"), key, 0o600))
		time.Sleep(lookEvery)
		if !bytes.Equal(served(), first) || !bytes.Contains(log.Bytes(), []byte("not renewed")) {
			t.Errorf("half a renewal was not passed over: %s", log.String())
		}
		must(os.WriteFile(h.tls("server.key"), renewed, 0o600))
		if !bytes.Equal(served(), first) {
			t.Error("the files are read at every handshake")
		}
		time.Sleep(lookEvery)
		if bytes.Equal(served(), first) {
			t.Errorf("the renewed certificate is not served: %s", log.String())
		}
	})
}
