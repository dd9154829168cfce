package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

// certificate is what is asked of it; times are relative to now.
type certificate struct {
	host        string
	from, until time.Duration
	usage       x509.ExtKeyUsage // zero: any
}

func newAuthority(t *testing.T) *authority { return newAuthorityUntil(t, 24*time.Hour) }

func newAuthorityUntil(t *testing.T, until time.Duration) *authority {
	t.Helper()
	key := newKey(t)
	a := &authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(until),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a.pem = block("CERTIFICATE", der)
	return a
}

// issue returns certificate and key, PEM.
func (a *authority) issue(t *testing.T, c certificate) (cert, key string) {
	t.Helper()
	if c.until == 0 {
		c.from, c.until = -time.Hour, time.Hour
	}
	k := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: c.host}, DNSNames: []string{c.host},
		NotBefore: now.Add(c.from), NotAfter: now.Add(c.until), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if c.usage != 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{c.usage}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
