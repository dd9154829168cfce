package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
)

// redeem fetches content by a token in the Authorization header.
func redeem(ctx context.Context, server, ca, token string) (int, []byte, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca))
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	req, err := http.NewRequestWithContext(ctx, "GET", server+"/v1/content", nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// noMetadata walks a JPEG's segments up to its picture data: of application
// and comment segments, only JFIF's may be there.
func noMetadata(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := 2; i+4 <= len(b); {
		marker, size := b[i+1], int(b[i+2])<<8|int(b[i+3])
		switch {
		case b[i] != 0xFF:
			return fmt.Errorf("%s: no marker at byte %d", path, i)
		case marker == 0xDA:
			return nil
		case marker == 0xFE, marker > 0xE0 && marker <= 0xEF && marker != 0xEE:
			return fmt.Errorf("%s: segment FF%02X is metadata", path, marker)
		}
		i += 2 + size
	}
	return fmt.Errorf("%s: no picture data", path)
}
