package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxPEM is the largest file of certificates in bytes: the whole set that
// systems trust has about 220 kB.
const maxPEM = 1 << 20

// Keys of certificates have 112 bits of security or more, signatures SHA-2
// (SP 800-52r2, 3.2; SP 800-131A).
const minRSA = 2048

// checkCertificate wants what browsers and tablets take for server.url.
func (h Host) checkCertificate(s Server, r *report) {
	const at = "server.certificate"
	if s.Certificate == "" || r.faulty(at) {
		return
	}
	chain, text := h.certificates(r, at, s.Certificate)
	if len(chain) == 0 {
		return
	}
	for i, c := range chain {
		which := "its certificate"
		if i > 0 {
			which = fmt.Sprintf("certificate %d of the file", i+1)
		}
		h.strong(r, at, which, c, i == len(chain)-1 && isSelfSigned(c) && i > 0)
	}
	leaf := chain[0]
	u, err := url.Parse(s.URL)
	if err == nil && u.Hostname() != "" && leaf.VerifyHostname(u.Hostname()) != nil {
		r.add(at, BadCertificate, "it is not for the host of server.url; have one made with that name, or correct the URL")
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.ContainsFunc(leaf.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		return u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny
	}) {
		r.add(at, BadCertificate, "it is not made for servers; have one made with the extended key usage serverAuth")
	}
	h.checkPair(s, text, r)
	h.checkIssuer(s, chain, r)
}

// checkPair: the key is that of the certificate.
func (h Host) checkPair(s Server, certificate []byte, r *report) {
	if s.Key == "" || r.faulty("server.key") {
		return
	}
	key, bad := readPrivate(s.Key, h.User, maxPEM)
	if bad != nil {
		r.add("server.key", bad.Code, "%s", bad.Sentence)
		return
	}
	defer clear(key)
	if !bytes.Contains(key, []byte("PRIVATE KEY-----")) {
		r.add("server.key", BadCertificate, "it holds no PEM private key")
		return
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil && !r.faulty("server.certificate") {
		r.add("server.key", BadCertificate, "it is not the key of server.certificate, or is encrypted; name the key that was made with it, without a passphrase")
	}
}

// checkIssuer: clients that are told server.ca accept the certificate by it.
func (h Host) checkIssuer(s Server, chain []*x509.Certificate, r *report) {
	if s.CA == "" || r.faulty("server.ca") || r.faulty("server.certificate") {
		return
	}
	authorities, _ := h.certificates(r, "server.ca", s.CA)
	if len(authorities) == 0 {
		return
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: h.Now}
	for _, a := range authorities {
		o.Roots.AddCert(a)
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(o); err != nil {
		r.add("server.ca", BadCertificate, "it did not sign server.certificate, and clients that trust it would refuse the service; name the authority that did, or nothing")
	}
}

// checkAuthorities: the files that say whose servers are trusted.
func (h Host) checkAuthorities(c *Config, r *report) {
	for where, path := range c.files() {
		if *path == "" || !strings.HasSuffix(where, ".ca") || r.faulty(where) {
			continue
		}
		all, _ := h.certificates(r, where, *path)
		if len(all) == 0 {
			continue
		}
		if !slices.ContainsFunc(all, func(c *x509.Certificate) bool { return !h.Now.After(c.NotAfter) }) {
			r.add(where, Expired, "none of its certificates is valid any more; get the authority's new one")
		}
		for i, a := range all {
			if !h.Now.After(a.NotAfter) {
				h.strong(r, where, fmt.Sprintf("certificate %d of the file", i+1), a, isSelfSigned(a))
			}
		}
	}
}

func isSelfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// strong refuses small keys, old signatures and certificates out of their
// time. Nobody relies on the signature of a root on itself.
func (h Host) strong(r *report, where, which string, c *x509.Certificate, root bool) {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSA {
			r.add(where, WeakTLS, "%s has an RSA key of %d bits; have one made with %d or more, or with ECDSA P-256", which, key.N.BitLen(), minRSA)
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			r.add(where, WeakTLS, "%s has a key on a curve of %d bits; have one made with P-256", which, key.Curve.Params().BitSize)
		}
	case ed25519.PublicKey:
	default:
		r.add(where, WeakTLS, "%s has a key of a kind that TLS 1.2 and above do not use; have one made with ECDSA P-256", which)
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.DSAWithSHA256, x509.ECDSAWithSHA1, x509.UnknownSignatureAlgorithm:
		if !root {
			r.add(where, WeakTLS, "%s is signed with %v, which is forged or not accepted any more; have one signed with SHA-256", which, c.SignatureAlgorithm)
		}
	}
	if h.Now.Before(c.NotBefore) || h.Now.After(c.NotAfter) {
		r.add(where, Expired, "%s is valid from %s to %s, and that is not now; renew it, or set the clock right", which,
			c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly))
	}
}

// certificates reads a PEM file that others cannot change.
func (h Host) certificates(r *report, where, path string) (all []*x509.Certificate, text []byte) {
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.add(where, Unreadable, "the file is not there or cannot be read by user %d", h.User)
		return nil, nil
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		r.add(where, Unreadable, "%s is not a regular file", path)
		return nil, nil
	}
	if sentence := unprotected(path, info, h.User); sentence != "" {
		r.add(where, NotProtected, "%s", sentence)
	}
	text, err = io.ReadAll(io.LimitReader(in, maxPEM+1))
	if err != nil || len(text) > maxPEM {
		r.add(where, Unreadable, "%s cannot be read, or has more than %d bytes", path, maxPEM)
		return nil, nil
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			if where != "server.certificate" && strings.Contains(block.Type, "PRIVATE KEY") {
				r.add(where, NotPrivate, "%s holds a private key beside the certificates; take it out, it does not belong on this machine", path)
			}
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			r.add(where, BadCertificate, "%s holds a certificate that cannot be read; have it made anew", path)
			return nil, nil
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		r.add(where, BadCertificate, "%s holds no PEM certificate", path)
	}
	return all, text
}
