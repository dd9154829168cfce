package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// ask sends a signed GET for the bucket itself and decodes the answer. It
// serves what the library answers out of its options, or not at all.
func (s *Store) ask(ctx context.Context, query url.Values, into any) (header http.Header, err error) {
	err = try(ctx, func() error {
		resp, err := s.send(ctx, "", query, true)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return s.refusal(resp)
		}
		header = resp.Header
		return errors.Join(xml.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into), resp.Body.Close())
	})
	return header, err
}

// send sends one GET for the bucket or an object. The caller closes the body.
func (s *Store) send(ctx context.Context, key string, query url.Values, signed bool) (*http.Response, error) {
	// The library knows how host, bucket and path go together.
	u, err := s.core.Presign(ctx, http.MethodGet, s.o.Bucket, key, time.Minute, nil)
	if err != nil {
		return nil, err
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if signed {
		a, err := s.signing.account()
		if err != nil {
			return nil, credentialsError{err}
		}
		req.Header.Set("X-Amz-Content-Sha256", emptySHA256)
		req = signer.SignV4(*req, a.AccessKey, a.SecretKey, a.SessionToken, s.o.Region)
	}
	return wire{s.transport}.RoundTrip(req)
}

// refusal reads the error of an answer and closes it.
func (s *Store) refusal(resp *http.Response) error {
	var r minio.ErrorResponse
	err := xml.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&r)
	if err != nil || r.Code == "" { // not S3's, a gateway's perhaps: the status says enough
		r = minio.ErrorResponse{Code: "error"}
		if resp.StatusCode/100 == 3 {
			r.Code = "Redirect"
		}
	}
	r.StatusCode = resp.StatusCode
	return errors.Join(r, resp.Body.Close())
}
