package s3test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// sign adds AWS Signature Version 4 (S3 API reference, "Signature calculations
// for the Authorization header: transferring payload in a single chunk"). It
// is not the library's that the store uses, so that the two check each other.
func sign(req *http.Request, body []byte, accessKey, secretKey, region, service string) {
	digest := sha256.Sum256(body)
	now := time.Now().UTC()
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))

	headers := map[string]string{"host": req.URL.Host}
	names := []string{"host"}
	for k, v := range req.Header {
		k = strings.ToLower(k)
		headers[k] = strings.Join(v, ",")
		names = append(names, k)
	}
	slices.Sort(names)
	var canonical strings.Builder
	for _, n := range names {
		canonical.WriteString(n + ":" + strings.TrimSpace(headers[n]) + "\n")
	}
	signed := strings.Join(names, ";")
	request := strings.Join([]string{req.Method, req.URL.EscapedPath(), query(req.URL.Query()), canonical.String(), signed, hex.EncodeToString(digest[:])}, "\n")
	hashed := sha256.Sum256([]byte(request))
	scope := strings.Join([]string{day, region, service, "aws4_request"}, "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(hashed[:])}, "\n")
	key := []byte("AWS4" + secretKey)
	for _, part := range []string{day, region, service, "aws4_request"} {
		key = mac(key, part)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+accessKey+"/"+scope+", SignedHeaders="+signed+
		", Signature="+hex.EncodeToString(mac(key, text)))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// query is sorted and encodes a space as %20.
func query(v url.Values) string { return strings.ReplaceAll(v.Encode(), "+", "%20") }

// escape encodes all but unreserved characters and the slash (UriEncode of the
// same reference), which url.PathEscape does not.
func escape(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		if c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
