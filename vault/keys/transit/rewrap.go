package transit

import (
	"context"
	"errors"
	"fmt"

	"photovault/vault/keys"
)

// bytes of an answer: 500 items of some 140 bytes, more with long errors.
const maxRewrapAnswer = 1 << 20

// Rewrap implements keys.Service, with one call for all items.
func (s *Service) Rewrap(ctx context.Context, items []keys.Wrapped) ([]keys.Rewrapped, error) {
	if ctx.Err() != nil {
		return nil, cancelled("rewrap", ctx)
	}
	if len(items) > keys.MaxRewrap {
		return nil, fmt.Errorf("transit: rewrap: %d keys at once", len(items))
	}
	out := make([]keys.Rewrapped, len(items))
	sent := make([]int, 0, len(items)) // indices of items
	body := append(make([]byte, 0, 64+len(items)*384), `{"batch_input":[`...)
	for i, item := range items {
		if _, err := version(item.Key); err != nil {
			out[i].Err = err
			continue
		}
		if len(sent) > 0 {
			body = append(body, ',')
		}
		body, sent = appendItem(body, item.Context, item.Key), append(sent, i)
	}
	if len(sent) == 0 {
		return out, nil
	}
	results, err := s.rewrap(ctx, append(body, "]}"...), len(sent))
	if err != nil {
		return nil, err
	}
	for n, i := range sent {
		if out[i], err = s.rewrapped(ctx, items[i], results[n]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rewrapResult is one item of the engine's answer.
type rewrapResult struct {
	Ciphertext string `json:"ciphertext"`
	Error      string `json:"error"`
}

func (s *Service) rewrap(ctx context.Context, body []byte, want int) ([]rewrapResult, error) {
	var results []rewrapResult
	err := s.c.do(ctx, request{call: "rewrap", path: s.c.path("rewrap"), body: body, limit: maxRewrapAnswer,
		timeout: min(batchTimes*s.c.o.Timeout, s.c.o.Budget),
		read: func(answer []byte) error {
			var d struct {
				Results []rewrapResult `json:"batch_results"`
			}
			if err := data(answer, &d); err != nil {
				return err
			}
			if len(d.Results) != want {
				return errors.New("as many answers as keys were expected")
			}
			results = d.Results
			return nil
		}})
	return results, err
}

func (s *Service) rewrapped(ctx context.Context, item keys.Wrapped, r rewrapResult) (keys.Rewrapped, error) {
	if r.Error == "" {
		before, err := version(item.Key)
		if err != nil {
			return keys.Rewrapped{}, err
		}
		after, err := version([]byte(r.Ciphertext))
		if err != nil || after < before {
			return keys.Rewrapped{}, &failure{call: "rewrap", text: "the answer holds something that is not a newer wrapped key"}
		}
		return keys.Rewrapped{Key: []byte(r.Ciphertext)}, nil
	}
	f := &failure{call: "rewrap", status: 400, text: r.Error}
	err := s.judge(ctx, f)
	if errors.Is(err, keys.ErrRefused) {
		return keys.Rewrapped{Err: err}, nil
	}
	return keys.Rewrapped{}, err
}
