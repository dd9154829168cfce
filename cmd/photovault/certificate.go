package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Lifetimes of the local authority and of the certificates it issues; a
// certificate is renewed at start when less than renewBefore is left.
const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 397 * 24 * time.Hour
	renewBefore     = 30 * 24 * time.Hour
)

// makeAuthority makes the local certificate authority and its first server
// certificate. Tablets and workstations trust tls/ca.pem, nothing else.
func (h home) makeAuthority(now time.Time, hosts []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "photovault local authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if err := writeCertificate(h.tls("ca.pem"), h.tls("ca.key"), der, key); err != nil {
		return err
	}
	return h.issueCertificate(now, hosts)
}

// issueCertificate makes a server certificate for the hosts, loopback included.
func (h home) issueCertificate(now time.Time, hosts []string) error {
	ca, err := tls.LoadX509KeyPair(h.tls("ca.pem"), h.tls("ca.key"))
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "photovault"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, &key.PublicKey, ca.PrivateKey)
	if err != nil {
		return err
	}
	return writeCertificate(h.tls("server.pem"), h.tls("server.key"), der, key)
}

// renewCertificate issues the local authority's server certificate anew when
// it nears its end.
func (h home) renewCertificate(now time.Time) error {
	pair, err := tls.LoadX509KeyPair(h.tls("server.pem"), h.tls("server.key"))
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if pair.Leaf.NotAfter.Sub(now) < renewBefore {
		hosts := append([]string(nil), pair.Leaf.DNSNames...)
		for _, ip := range pair.Leaf.IPAddresses {
			hosts = append(hosts, ip.String())
		}
		return h.issueCertificate(now, hosts[1:])
	}
	return nil
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // never fails
	return n
}

func writeCertificate(certPath, keyPath string, der []byte, key *ecdsa.PrivateKey) error {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	defer clear(raw)
	return errors.Join(
		writeDurable(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600),
		writeDurable(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
}
