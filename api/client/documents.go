package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"photovault/api"
)

// AddDocument keeps a signed document of the patient.
func (c *Client) AddDocument(ctx context.Context, patient, contentType string, content []byte) (*api.Document, error) {
	req, err := c.request(ctx, "POST", "/v1/patients/"+patient+"/documents", bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var out api.Document
	return &out, json.NewDecoder(res.Body).Decode(&out)
}

// Document fetches a signed document.
func (c *Client) Document(ctx context.Context, document string) ([]byte, error) {
	req, err := c.request(ctx, "GET", "/v1/documents/"+document, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(io.LimitReader(res.Body, api.MaxDocument+1))
	if err == nil && int64(len(content)) != res.ContentLength {
		err = errors.New("client: the document is not as long as announced")
	}
	return content, err
}
