package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"photovault/vault/blobs"
	"photovault/vault/seal"
)

// sealedObject is ciphertext with random access.
type sealedObject interface {
	io.ReaderAt
	io.Closer
}

// fetchObject opens a stored object that must be exactly size bytes long;
// whole ones are read into memory at once.
func fetchObject(ctx context.Context, store blobs.Store, name blobs.Name, size int64, whole bool) (sealedObject, error) {
	if !whole { // it is read after the request that opened it has been handled
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxDelivery)
		return &remoteObject{ctx: ctx, cancel: cancel, store: store, name: name, size: size}, nil
	}
	body, got, err := store.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if got != size {
		return nil, fmt.Errorf("vault: object of %d bytes, %d expected: %w", got, size, blobs.ErrSize)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(body, b); err != nil {
		return nil, fmt.Errorf("vault: object: %w: %w", blobs.ErrUnavailable, err)
	}
	return memoryObject{bytes.NewReader(b)}, nil
}

type memoryObject struct{ *bytes.Reader }

func (memoryObject) Close() error { return nil }

// remoteObject reads ahead sequentially and reopens where a reader jumps. It
// serves one goroutine.
type remoteObject struct {
	ctx    context.Context
	cancel context.CancelFunc
	store  blobs.Store
	name   blobs.Name
	size   int64
	body   io.ReadCloser
	at     int64
}

// maxDelivery is the longest a streamed rendition may take.
const maxDelivery = 10 * time.Minute

func (o *remoteObject) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > o.size {
		return 0, io.ErrUnexpectedEOF
	}
	if o.body == nil || o.at != off {
		if err := o.closeBody(); err != nil {
			return 0, err
		}
		body, got, err := o.store.Get(o.ctx, o.name, off, -1)
		if err != nil {
			return 0, err
		}
		o.body, o.at = body, off
		if got != o.size {
			return 0, fmt.Errorf("vault: object of %d bytes, %d expected: %w", got, o.size, blobs.ErrSize)
		}
	}
	n, err := io.ReadFull(o.body, p)
	o.at += int64(n)
	return n, err
}

func (o *remoteObject) Close() error {
	o.cancel()
	return o.closeBody()
}

func (o *remoteObject) closeBody() error {
	if o.body == nil {
		return nil
	}
	body := o.body
	o.body = nil
	return body.Close()
}

// plaintext is an opened photo. Close overwrites what is in memory.
type plaintext interface {
	io.ReadSeeker
	io.Closer
}

type wholePhoto struct {
	*bytes.Reader
	bytes []byte
}

func (w *wholePhoto) Close() error {
	clear(w.bytes)
	return nil
}

// openObject reads a rendition several whole chunks at a time, each of them
// once: whoever reads in smaller steps would otherwise have each chunk opened
// anew for every step, and the object asked for anew from the store.
type openObject struct {
	plain  io.ReaderAt
	size   int64
	sealed sealedObject
	at     int64
	ahead  []byte // plaintext from start on
	start  int64
}

const readAhead = 4 * seal.ChunkSize

func (o *openObject) Read(p []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if o.at < o.start || o.at >= o.start+int64(len(o.ahead)) {
		if o.ahead == nil {
			o.ahead = make([]byte, 0, readAhead)
		}
		o.start = o.at - o.at%seal.ChunkSize
		n, err := o.plain.ReadAt(o.ahead[:min(readAhead, o.size-o.start)], o.start)
		o.ahead = o.ahead[:n]
		if err == io.EOF && o.start+int64(n) == o.size {
			err = nil
		}
		if err != nil { // nothing after a chunk that is not there leaves either
			o.ahead = o.ahead[:0]
			return 0, err
		}
	}
	n := copy(p, o.ahead[o.at-o.start:])
	o.at += int64(n)
	return n, nil
}

// Seek is for the start of a range.
func (o *openObject) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart || offset < 0 {
		return o.at, errors.New("vault: only from the start")
	}
	o.at = offset
	return offset, nil
}

func (o *openObject) Close() error {
	clear(o.ahead[:cap(o.ahead)])
	return o.sealed.Close()
}
