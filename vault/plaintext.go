package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"photovault/vault/blobs"
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

type openObject struct {
	*io.SectionReader
	sealed sealedObject
}

func (o *openObject) Close() error { return o.sealed.Close() }
