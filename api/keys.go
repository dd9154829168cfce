package api

import (
	"strconv"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/keys"
)

// EvidenceKeys is the answer of GET /v1/evidence-keys.
type EvidenceKeys struct {
	Keys []vault.EvidenceKey `json:"keys"` // oldest first
}

// RewrapRequest is the body of POST /v1/keys/rewrap.
type RewrapRequest struct {
	After string `json:"after"` // where the last batch ended; empty: from the beginning
	Limit int    `json:"limit"` // at most keys.MaxRewrap, which is also the default
}

// EraseRequest is the body of POST /v1/keys/erasures.
type EraseRequest struct {
	Below uint32 `json:"below"`
	Lost  int    `json:"lost"` // wrapped keys known to be unreadable already
}

// KeyRotated is the answer of POST /v1/keys/{purpose}/rotate.
type KeyRotated struct {
	Purpose string `json:"purpose"`
	Version int64  `json:"version"`
}

// purposes by the names they have outside.
var purposes = map[string]keys.Purpose{"catalog": keys.Catalog, "index": keys.Index, "evidence": keys.Checkpoint}

func (c *call) keyState() error {
	state, err := c.service().KeyState(c.ctx, c.who)
	if err != nil {
		return err
	}
	return c.reply(200, state)
}

func (c *call) rotateKey() error {
	name := c.Params("purpose")
	version, err := c.service().RotateKey(c.ctx, c.who, purposes[name])
	if err != nil {
		return err
	}
	return c.reply(200, KeyRotated{name, version})
}

func (c *call) rewrap() error {
	var in RewrapRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Limit < 0 || in.Limit > keys.MaxRewrap {
		return refuseField("limit", "limit is a number from 1 to "+strconv.Itoa(keys.MaxRewrap)+".")
	}
	out, err := c.service().Rewrap(c.ctx, c.who, in.After, in.Limit)
	if err != nil {
		return err
	}
	return c.reply(200, out)
}

func (c *call) beginErase() error {
	var in EraseRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Lost < 0 {
		return refuseField("lost", "lost is a number from 0 on.")
	}
	if err := c.service().BeginErase(c.ctx, c.who, in.Below, in.Lost); err != nil {
		return err
	}
	return c.reply(201, vault.KeyErasure{Below: in.Below, BeganAt: c.service().Now().UTC().Truncate(time.Millisecond)})
}

func (c *call) endErase() error {
	below, err := strconv.ParseUint(c.Params("below"), 10, 32)
	if err != nil {
		return vault.ErrNotFound
	}
	if err := c.service().EndErase(c.ctx, c.who, uint32(below)); err != nil {
		return err
	}
	return c.SendStatus(204)
}

func (c *call) evidenceKeys() error {
	chain, err := c.service().EvidenceChain(c.ctx, c.who.Practice)
	if err != nil {
		return err
	}
	return c.reply(200, EvidenceKeys{chain})
}

func refuseField(field, sentence string) error {
	return &vault.InvalidError{Code: "field_invalid", Defects: []consent.Defect{{Field: field, Sentence: sentence}}}
}
