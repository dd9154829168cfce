package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"photovault/vault/blobs"
)

const (
	// maxObject is the most that one PUT may carry; photos have a hundredth of it.
	maxObject = 5 << 30
	// held is how much of a stream is read before the server is asked. What
	// fits is sent with a signed payload, and again if need be.
	held = 8 << 20
)

// Put implements blobs.Store. What is in memory already (bytes.Reader), and
// else up to 8 MiB, is sent again when an attempt fails; a longer stream is
// sent once. An object has at most 5 GiB: more is blobs.ErrSize.
//
// Where an attempt had an unknown outcome and the next finds the name taken,
// it is the same object if its size and SHA-256 are ours.
func (s *Store) Put(ctx context.Context, name blobs.Name, r io.Reader, size int64) error {
	if !name.Valid() {
		return blobs.ErrName
	}
	if size < 0 {
		return blobs.ErrSize
	}
	if err := live(ctx); err != nil {
		return err
	}
	source, err := sourceOf(ctx, r, size)
	if err != nil {
		return err
	}
	if err := live(ctx); err != nil {
		return err
	}
	if size > maxObject {
		return fmt.Errorf("%w: s3: %d bytes; an object has at most %d", blobs.ErrSize, size, int64(maxObject))
	}
	limited, cancel := s.budgeted(ctx, time.Duration(size>>20)*time.Second)
	defer cancel()
	if whole, ok := source.(*memory); ok {
		return s.putWhole(ctx, limited, name, whole)
	}
	return s.putStream(ctx, limited, name, source.(*exact))
}

// putWhole sends what is in memory until it is there.
func (s *Store) putWhole(caller, ctx context.Context, name blobs.Name, m *memory) error {
	sum := m.sum()
	o := s.put(name.Area)
	o.UserMetadata = map[string]string{checksumHeader: base64.StdEncoding.EncodeToString(sum[:])}
	uncertain := false // whether an earlier attempt was taken
	err := try(ctx, func() error {
		if uncertain {
			if there, err := s.settle(ctx, name, m.size, sum); there || err != nil {
				return err
			}
		}
		body := &guard{r: m.reader()}
		_, err := s.core.PutObject(ctx, s.o.Bucket, s.key(name), body, m.size, "", hex.EncodeToString(sum[:]), o)
		body.stop()
		if code(err) == taken && uncertain {
			_, err = s.settle(ctx, name, m.size, sum)
		}
		uncertain = uncertain || unknown(err)
		return err
	})
	return s.putError(caller, err)
}

// putStream sends a long stream, once.
func (s *Store) putStream(caller, ctx context.Context, name blobs.Name, stream *exact) error {
	body := &guard{r: stream}
	_, err := s.core.Client.PutObject(ctx, s.o.Bucket, s.key(name), body, stream.size, s.streamed(name.Area))
	body.stop()
	if stream.err != nil { // its own error, or another length: what came of that is not the server's fault
		return stream.err
	}
	if !unknown(err) {
		return s.putError(caller, err)
	}
	var there bool
	if settled := try(ctx, func() (err error) {
		there, err = s.settle(ctx, name, stream.size, stream.sum())
		return err
	}); there || settled != nil {
		err = settled
	}
	return s.putError(caller, err)
}

// unknown: the server may have stored the object, or may have found its name
// taken and closed the connection before it had read it.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, blobs.ErrExists) && (code(err) == "" || status(err) >= http.StatusInternalServerError)
}

const (
	taken          = "PreconditionFailed"
	checksumHeader = "x-amz-checksum-sha256"
)

func (s *Store) putError(caller context.Context, err error) error {
	if errors.Is(err, blobs.ErrExists) || code(err) == taken {
		return blobs.ErrExists
	}
	return s.unavailable(caller, "put", err)
}

// settle finds out what became of an attempt with an unknown outcome: whether
// the object is there. Another one under the name is blobs.ErrExists.
func (s *Store) settle(ctx context.Context, name blobs.Name, size int64, sum [sha256.Size]byte) (there bool, err error) {
	info, err := s.core.StatObject(ctx, s.o.Bucket, s.key(name), minio.StatObjectOptions{Checksum: true})
	switch {
	case code(err) == "NoSuchKey":
		return false, nil
	case err != nil:
		return false, err
	case info.Size != size || info.ChecksumSHA256 != base64.StdEncoding.EncodeToString(sum[:]):
		return false, blobs.ErrExists
	}
	return true, nil
}

// put is what every PUT carries: no name, no metadata but the type.
func (s *Store) put(area blobs.Area) minio.PutObjectOptions {
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true, SendContentMd5: false}
	o.SetMatchETagExcept("*")
	if s.o.RetentionDays > 0 && area == blobs.Photos {
		o.Mode = minio.RetentionMode(s.o.LockMode)
		o.RetainUntilDate = time.Now().UTC().AddDate(0, 0, s.o.RetentionDays)
	}
	switch s.o.Encryption {
	case SSES3:
		o.ServerSideEncryption = encrypt.NewSSE()
	case SSEKMS:
		o.ServerSideEncryption = kms(s.o.KMSKey)
	}
	return o
}

// streamed is put with the checksum behind the body.
func (s *Store) streamed(area blobs.Area) minio.PutObjectOptions {
	o := s.put(area)
	o.Checksum = minio.ChecksumSHA256
	return o
}

// kms is SSE-KMS without a context, which would be kept in clear.
func kms(key string) encrypt.ServerSide {
	sse, err := encrypt.NewSSEKMS(key, nil)
	if err != nil { // only a context can fail to encode
		panic(err)
	}
	return sse
}
