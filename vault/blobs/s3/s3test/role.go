package s3test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"photovault/vault/blobs/s3"
)

// AssumeRole returns the options with temporary credentials that may do what
// the policy says and nothing else (STS, AssumeRole with a session policy).
// MinIO has that; versitygw has not.
func (c *Client) AssumeRole(t testing.TB, policy string) s3.Options {
	t.Helper()
	form := []byte(url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "DurationSeconds": {"3600"}, "Policy": {policy}}.Encode())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.o.Endpoint+"/", strings.NewReader(string(form)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sign(req, form, c.o.AccessKey, c.o.SecretKey, c.o.Region, "sts")
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Result struct {
			Credentials struct {
				AccessKeyID     string `xml:"AccessKeyId"`
				SecretAccessKey string
				SessionToken    string
			}
		} `xml:"AssumeRoleResult"`
	}
	if err := xml.Unmarshal(b, &answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("assume role: %s, %v", resp.Status, err)
	}
	o := c.o
	o.AccessKey = answer.Result.Credentials.AccessKeyID
	o.SecretKey = answer.Result.Credentials.SecretAccessKey
	o.SessionToken = answer.Result.Credentials.SessionToken
	return o
}
