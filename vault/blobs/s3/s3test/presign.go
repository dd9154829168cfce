package s3test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Presign returns a URL that anyone may GET the object at for a while
// (Signature Version 4 in the query): the peer of a release, which photovault
// never hands out.
func (c *Client) Presign(key string, life time.Duration) string {
	now := time.Now().UTC()
	day, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	scope := day + "/" + c.o.Region + "/s3/aws4_request"
	u, err := url.Parse(c.o.Endpoint + "/" + c.o.Bucket + "/" + key)
	if err != nil {
		panic(err)
	}
	q := url.Values{
		"X-Amz-Algorithm":     {"AWS4-HMAC-SHA256"},
		"X-Amz-Credential":    {c.o.AccessKey + "/" + scope},
		"X-Amz-Date":          {stamp},
		"X-Amz-Expires":       {strconv.Itoa(int(life.Seconds()))},
		"X-Amz-SignedHeaders": {"host"},
	}
	canonical := strings.Join([]string{"GET", u.EscapedPath(), query(q), "host:" + u.Host, "", "host", "UNSIGNED-PAYLOAD"}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(sum[:])}, "\n")
	k := []byte("AWS4" + c.o.SecretKey)
	for _, part := range []string{day, c.o.Region, "s3", "aws4_request"} {
		k = mac(k, part)
	}
	q.Set("X-Amz-Signature", hex.EncodeToString(mac(k, text)))
	u.RawQuery = query(q)
	return u.String()
}
