package api

import (
	"fmt"
	"io"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// MaxDocument is the largest signed document in bytes.
const MaxDocument = consent.MaxDocument

type NewTemplate struct {
	Template id.Template          `json:"template,omitempty"` // its next version; absent: a new one
	Kind     consent.TemplateKind `json:"kind,omitempty"`     // absent: authorization
	Name     string               `json:"name"`
	Text     string               `json:"text"`
	Clauses  consent.Clauses      `json:"clauses"`
}

type Template struct {
	ID        id.Template          `json:"id"`
	Version   int64                `json:"version"`
	Kind      consent.TemplateKind `json:"kind"`
	Name      string               `json:"name"`
	Text      string               `json:"text"`
	Clauses   consent.Clauses      `json:"clauses"`
	CreatedAt time.Time            `json:"created_at"`
}

func template(t consent.Template) Template {
	return Template{t.ID, t.Version, t.Kind, t.Name, t.Text, t.Clauses, t.CreatedAt}
}

type TemplateList struct {
	Templates []Template `json:"templates"`
}

type Document struct {
	ID          id.Document `json:"id"`
	Patient     id.Patient  `json:"patient"`
	ContentType string      `json:"content_type"`
	Size        int64       `json:"size"`
	SHA256      string      `json:"sha256"`
	AddedAt     time.Time   `json:"added_at"`
}

func (c *call) addTemplate() error {
	var in NewTemplate
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Template != "" && !id.Valid(string(in.Template)) {
		return vault.ErrNotFound
	}
	if in.Kind == "" {
		in.Kind = consent.TemplateOfAuthorization
	}
	t, err := c.service().AddTemplate(c.ctx, c.who, consent.Template{ID: in.Template, Kind: in.Kind, Name: in.Name, Text: in.Text, Clauses: in.Clauses})
	if err != nil {
		return err
	}
	return c.reply(201, template(*t))
}

func (c *call) listTemplates() error {
	list, err := c.service().Templates(c.ctx, c.who)
	if err != nil {
		return err
	}
	return c.reply(200, TemplateList{each(list, template)})
}

func (c *call) addDocument() error {
	p, err := pathID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	content, err := io.ReadAll(c.body)
	if err != nil {
		c.Context().SetConnectionClose()
		return fmt.Errorf("%w: body: %w", errBadRequest, err)
	}
	d, err := c.service().AddDocument(c.ctx, c.who, p, content)
	if err != nil {
		return err
	}
	return c.reply(201, Document{d.ID, d.Patient, d.ContentType, int64(len(d.Content)), d.SHA256, d.AddedAt})
}

// readDocument gives it to be saved, and never to be run or shown inline.
func (c *call) readDocument() error {
	document, err := pathID[id.Document](c, "document")
	if err != nil {
		return err
	}
	d, err := c.service().Document(c.ctx, c.who, document)
	if err != nil {
		return err
	}
	c.Set("Content-Type", d.ContentType)
	c.Set("Content-Disposition", "attachment")
	return c.Send(d.Content)
}
