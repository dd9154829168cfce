package transit

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	maxAnswer = 4 << 20 // bytes; 500 rewrapped keys are 70 KB
	atOnce    = 64      // connections; more calls than that wait for one
)

// transport speaks TLS 1.2 or later to the address alone: no proxy, whatever
// the environment says. HTTP/1.1 keeps calls apart: one stalled connection
// holds up one call.
func transport(o Options) (*http.Transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, Faults{fmt.Sprintf("the file of authorities cannot be read: %v", err)}
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, Faults{fmt.Sprintf("%s holds no certificate in PEM", o.CAFile)}
		}
	}
	return &http.Transport{
		Proxy:               nil,
		DialContext:         (&net.Dialer{Timeout: o.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     conf,
		TLSHandshakeTimeout: o.Timeout,
		MaxConnsPerHost:     atOnce,
		MaxIdleConnsPerHost: atOnce,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // an inflated answer would be one more copy of a key
	}, nil
}

// limited cuts answers off at maxAnswer.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// connect makes a client that carries no token yet. The library would take a
// token, a namespace, headers and more from VAULT_* variables: all that it has
// taken is set back. Retries, time limits and redirects are not left to it;
// a redirect is followed by nobody.
func connect(o Options, over http.RoundTripper) (*api.Client, error) {
	c, err := api.NewClient(&api.Config{
		Address: o.Address,
		HttpClient: &http.Client{
			Transport:     limited{over},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		DisableRedirects: true,
	})
	if err != nil { // the library reads the environment even so, and fails on what it cannot use there
		return nil, Faults{fmt.Sprintf("the client library fails (%v): unset the VAULT_* variables, none of them is used", err)}
	}
	c.ClearToken()
	c.SetMFACreds(nil)
	c.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	c.SetWrappingLookupFunc(func(string, string) string { return "" })
	if o.Namespace != "" {
		c.SetNamespace(o.Namespace)
	}
	return c, nil
}
