package transit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"photovault/vault/keys"
	"photovault/vault/secret"
)

const (
	maxKeyAnswer = 4 << 10         // bytes of an answer that holds a key
	readyFor     = time.Second / 2 // how long an answer of Ready stands
)

// Service makes and unwraps data keys under one transit key. It holds a token
// that may do that and nothing else.
type Service struct {
	c        *client
	warnings []string

	asking  chan struct{} // holds one: the lock of what Ready has found
	asked   time.Time
	outcome error
}

var _ keys.Service = (*Service)(nil)

// Open logs in, checks the transit key, of which every fault is named at once,
// and does once with a data key of nobody's what the service will do.
// It waits for a server in trouble until the budget or ctx ends. Errors: ErrConfiguration (trying again does not help), keys.ErrUnavailable.
func Open(ctx context.Context, o Options) (*Service, error) {
	c, k, err := dialKey(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := k.faults(c.o).err(); err != nil {
		c.close()
		return nil, err
	}
	s := &Service{c: c, warnings: k.warnings(c.o), asking: make(chan struct{}, 1)}
	if err := s.prove(ctx); err != nil {
		c.close()
		return nil, err
	}
	return s, nil
}

// prove makes a data key of nobody's, unwraps and rewraps it: a policy that
// lacks one of the paths would show only when a photo arrives, or is asked for.
func (s *Service) prove(ctx context.Context) error {
	c := keys.Context{Purpose: "proof"} // no key that is kept has it
	var f Faults
	lacks := func(err error) error {
		var answer *failure
		if errors.As(err, &answer) && answer.status == http.StatusForbidden {
			f, err = append(f, answer.text), nil
		}
		return err
	}
	key, wrapped, err := s.NewDataKey(ctx, c)
	if err != nil {
		if err = lacks(err); err == nil {
			err = f.err()
		}
		return err
	}
	defer key.Destroy()
	again, err := s.UnwrapDataKey(ctx, c, wrapped)
	again.Destroy()
	if err := lacks(err); err != nil {
		return err
	}
	if _, err := s.Rewrap(ctx, []keys.Wrapped{{Context: c, Key: wrapped}}); lacks(err) != nil {
		return err
	}
	return f.err()
}

// Warnings are what Open has found that does not stop it, each a sentence that
// says what to do.
func (s *Service) Warnings() []string { return s.warnings }

// Close ends the renewal of the token and revokes it, if it came of a login.
// Calls after it are ErrUnavailable. It may be called twice.
func (s *Service) Close() error {
	s.c.close()
	return nil
}

// NewDataKey implements keys.Service.
func (s *Service) NewDataKey(ctx context.Context, c keys.Context) (*secret.Key, []byte, error) {
	body := append(make([]byte, 0, 512), `{"context":"`...)
	body = base64.StdEncoding.AppendEncode(body, c.Encode())
	body = append(body, `"}`...)
	var got keyAnswer
	if err := s.c.do(ctx, request{call: "datakey", path: s.c.path("datakey/plaintext"), body: body, limit: maxKeyAnswer, read: got.read(true)}); err != nil {
		got.destroy()
		return nil, nil, err
	}
	return got.key, got.wrapped, nil
}

// UnwrapDataKey implements keys.Service.
func (s *Service) UnwrapDataKey(ctx context.Context, c keys.Context, wrapped []byte) (*secret.Key, error) {
	if ctx.Err() != nil {
		return nil, cancelled("decrypt", ctx)
	}
	if _, err := version(wrapped); err != nil {
		return nil, err
	}
	body := appendItem(make([]byte, 0, 512), c, wrapped)
	var got keyAnswer
	err := s.c.do(ctx, request{call: "decrypt", path: s.c.path("decrypt"), body: body, limit: maxKeyAnswer, read: got.read(false)})
	if err != nil {
		got.destroy()
		return nil, s.judge(ctx, err)
	}
	return got.key, nil
}

// judge decides whether what the engine does not take is the wrapped key. Its
// words for that are known; behind other words there may be a fault of the
// transit key, and if that is in order the wrapped key is not.
func (s *Service) judge(ctx context.Context, err error) error {
	var f *failure
	if !errors.As(err, &f) || f.status != 400 {
		return err
	}
	if refusal(f.text) {
		return keys.ErrRefused
	}
	k, readErr := s.c.readKey(ctx)
	if readErr != nil {
		return readErr
	}
	if !k.usable() {
		return err
	}
	return keys.ErrRefused
}

// appendItem appends {"ciphertext":…,"context":…}. Nothing in it needs escapes.
func appendItem(b []byte, c keys.Context, wrapped []byte) []byte {
	b = append(b, `{"ciphertext":"`...)
	b = append(b, wrapped...)
	b = append(b, `","context":"`...)
	b = base64.StdEncoding.AppendEncode(b, c.Encode())
	return append(b, `"}`...)
}

// keyAnswer takes a data key out of an answer.
type keyAnswer struct {
	key     *secret.Key
	wrapped []byte
}

func (k *keyAnswer) read(wrapped bool) func([]byte) error {
	return func(answer []byte) error {
		k.destroy() // of an attempt before
		var a struct {
			Data struct {
				Plaintext  plaintext `json:"plaintext"`
				Ciphertext string    `json:"ciphertext"`
			} `json:"data"`
		}
		err := json.Unmarshal(answer, &a)
		k.key = a.Data.Plaintext.key
		if err != nil || k.key == nil {
			return errors.New("no data key of 32 bytes")
		}
		if !wrapped {
			return nil
		}
		k.wrapped = []byte(a.Data.Ciphertext)
		if _, err := version(k.wrapped); err != nil {
			return errors.New("no wrapped key")
		}
		return nil
	}
}

func (k *keyAnswer) destroy() {
	k.key.Destroy()
	k.key, k.wrapped = nil, nil
}

// plaintext decodes a key out of the JSON it stands in, without a copy between.
type plaintext struct{ key *secret.Key }

func (p *plaintext) UnmarshalJSON(b []byte) error {
	const text = (secret.KeySize + 2) / 3 * 4
	if len(b) != text+2 || b[0] != '"' || b[text+1] != '"' {
		return errors.New("not a key")
	}
	raw := make([]byte, text/4*3)
	n, err := base64.StdEncoding.Strict().Decode(raw, b[1:text+1])
	if err != nil || n != secret.KeySize {
		clear(raw)
		return errors.New("not a key")
	}
	p.key.Destroy()
	p.key, err = secret.FromBytes(raw[:n])
	return err
}

// Version implements keys.Service.
func (s *Service) Version(wrapped []byte) (uint32, error) { return version(wrapped) }

// Versions implements keys.Service.
func (s *Service) Versions(ctx context.Context) (keys.Versions, error) {
	k, err := s.c.readKey(ctx)
	if err != nil {
		return keys.Versions{}, err
	}
	return k.versions()
}

// Ready implements keys.Service: it reads the transit key, which needs the
// token, an unsealed server and the key. An answer stands for half a second, and is
// waited for by all who ask meanwhile.
func (s *Service) Ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return cancelled("ready", ctx)
	}
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return cancelled("ready", ctx)
	}
	if _, err := s.c.tokens.current("ready"); err != nil {
		return err
	}
	if !s.asked.IsZero() && time.Since(s.asked) < readyFor {
		return s.outcome
	}
	k, err := s.c.readKey(ctx)
	if ctx.Err() != nil {
		return cancelled("ready", ctx)
	}
	if err == nil && !k.usable() {
		err = &failure{call: "ready", text: fmt.Sprintf("%s/%s is no longer an aes256-gcm96 key with derived=true", s.c.o.Mount, s.c.o.Key)}
	}
	s.asked, s.outcome = time.Now(), err
	return err
}
