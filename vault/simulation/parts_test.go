package simulation_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"photovault/imaging"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

type keysPurpose = keys.Purpose

// keyService is a replica's way to the key service.
type keyService struct {
	keys.Service
	r *replica
}

func (k *keyService) NewDataKey(ctx context.Context, c keys.Context) (key *secret.Key, wrapped []byte, err error) {
	key, err = do(ctx, k.r, "NewDataKey "+string(c.Purpose)+" "+k.r.w.called(c.Subject), onRead, keys.ErrUnavailable, func(ctx context.Context) (key *secret.Key, err error) {
		key, wrapped, err = k.Service.NewDataKey(ctx, c)
		return key, err
	})
	return key, wrapped, err
}

func (k *keyService) UnwrapDataKey(ctx context.Context, c keys.Context, wrapped []byte) (*secret.Key, error) {
	return do(ctx, k.r, "UnwrapDataKey "+string(c.Purpose)+" "+k.r.w.called(c.Subject), onRead, keys.ErrUnavailable, func(ctx context.Context) (*secret.Key, error) {
		return k.Service.UnwrapDataKey(ctx, c, wrapped)
	})
}

// outside keeps the checkpoints of one replica's machine; they outlive it.
type outside struct{ r *replica }

func (o *outside) Save(c audit.Checkpoint) error {
	return doErr(context.Background(), o.r, "save checkpoint", onWrite, errInjected, func(context.Context) error {
		o.r.w.checkpoints[o.r.slot] = &c
		return nil
	})
}

func (o *outside) Newest(id.Practice) (*audit.Checkpoint, error) {
	return do(context.Background(), o.r, "newest checkpoint", onRead, errInjected, func(context.Context) (*audit.Checkpoint, error) {
		return o.r.w.checkpoints[o.r.slot], nil
	})
}

// media stands for the pool of media workers, which are processes and keep to
// no schedule: it makes of any bytes what renditionsOf says. The pool itself
// has its tests in imaging.
type media struct{ r *replica }

func (m *media) Process(ctx context.Context, photo []byte) (*imaging.Result, error) {
	input := bytes.Clone(photo)
	out, v, err := doing(ctx, m.r, "sanitise", onMedia, imaging.ErrMachine, func(context.Context) (*imaging.Result, error) {
		if input[0] == refusedPhoto {
			return nil, &imaging.Refusal{Code: imaging.Corrupt}
		}
		out := &imaging.Result{Findings: imaging.Findings{Format: "jpeg", Width: 1, Height: 1, InputSHA256: sha256.Sum256(input)}}
		for _, r := range renditionsOf(input) {
			out.Renditions = append(out.Renditions, imaging.Rendition{Name: r.name, ContentType: "image/jpeg", Width: 1, Height: 1, Data: r.bytes, SHA256: sha256.Sum256(r.bytes)})
		}
		return out, nil
	})
	if v.fault == broken {
		return nil, fmt.Errorf("%w: %w", imaging.ErrMachine, errInjected)
	}
	return out, err
}

type rendition struct {
	name  string
	bytes []byte
}

// What the first byte of a photo says about it.
const (
	smallPhoto   = 's'
	largePhoto   = 'l' // its original streams
	refusedPhoto = 'x'
)

// renditionsOf is what becomes of a photo, in memory of its own.
func renditionsOf(photo []byte) []rendition {
	original := bytes.Clone(photo)
	if photo[0] == largePhoto {
		original = bytes.Repeat(photo, 1+(4<<20+300<<10)/len(photo))
	}
	return []rendition{
		{imaging.Original, original},
		{imaging.Web, append([]byte("web:"), photo[:len(photo)/2]...)},
		{imaging.Thumb, append([]byte("thumb:"), photo[:min(len(photo), 200)]...)},
	}
}

// Mask and Compare are asked for by nobody here.
func (*media) Mask(context.Context, []byte, []imaging.Region) (*imaging.Rendition, error) {
	return nil, imaging.ErrMachine
}

func (*media) ShrinkMasked(context.Context, []byte) (*imaging.Rendition, error) {
	return nil, imaging.ErrMachine
}

func (*media) Compare(context.Context, []byte, []byte, [2]imaging.Region) (*imaging.Rendition, error) {
	return nil, imaging.ErrMachine
}
