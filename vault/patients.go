package vault

import (
	"context"
	"strings"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// maxRecordNumber is the longest record number in bytes.
const maxRecordNumber = 64

// CreatePatient adds a patient under the practice's record number.
// Errors: ErrDenied, ErrInvalid, ConflictError record_number_taken.
func (s *Service) CreatePatient(ctx context.Context, who consent.Principal, recordNumber, name string) (*Patient, error) {
	e := entry(who, audit.PatientCreate, audit.Allowed)
	if err := s.allow(ctx, who, consent.CreatePatient, e); err != nil {
		return nil, err
	}
	recordNumber, name = strings.TrimSpace(recordNumber), strings.TrimSpace(name)
	if consent.Blank(recordNumber) || len(recordNumber) > maxRecordNumber {
		return nil, s.failed(ctx, who, e, invalid("record_number", "Give the practice's record number, at most 64 bytes."))
	}
	if len(name) > consent.MaxName {
		return nil, s.failed(ctx, who, e, invalid("name", "A name has at most 200 bytes."))
	}
	p := &Patient{ID: id.New[id.Patient](), Practice: who.Practice, RecordNumber: recordNumber, Name: name,
		CreatedAt: s.now(), CreatedBy: who.Account}
	e.Patient = p.ID
	var first *consent.Event
	if who.Role == consent.Provider { // whoever takes a patient on treats the patient
		first = &consent.Event{ID: id.New[id.Event](), Practice: who.Practice, Patient: p.ID, Kind: consent.Assigned, Subject: string(who.Account),
			ReceivedAt: p.CreatedAt, EnteredAt: p.CreatedAt, EnteredBy: who.Account}
		e.Records = []string{"event/" + string(first.ID)}
	}
	if err := s.Catalogs.ForPractice(who.Practice).AddPatient(ctx, p, first, e); err != nil {
		e.Patient = "" // it was not created
		return nil, s.failed(ctx, who, e, err)
	}
	return p, nil
}

// FindPatient looks a patient up by record number. Errors: ErrDenied, ErrNotFound.
func (s *Service) FindPatient(ctx context.Context, who consent.Principal, recordNumber string) (*Patient, error) {
	return s.findPatient(ctx, who, func(c Catalog) (*Patient, error) {
		number := strings.TrimSpace(recordNumber)
		if len(number) > maxRecordNumber {
			return nil, ErrNotFound // nobody has it
		}
		return c.PatientByRecordNumber(ctx, number)
	})
}

// Patient looks a patient up by id. Errors: ErrDenied, ErrNotFound.
func (s *Service) Patient(ctx context.Context, who consent.Principal, p id.Patient) (*Patient, error) {
	return s.findPatient(ctx, who, func(c Catalog) (*Patient, error) { return c.Patient(ctx, p) })
}

func (s *Service) findPatient(ctx context.Context, who consent.Principal, find func(Catalog) (*Patient, error)) (*Patient, error) {
	e := entry(who, audit.PatientFind, audit.Allowed)
	if err := s.allow(ctx, who, consent.FindPatient, e); err != nil {
		return nil, err
	}
	p, err := find(s.Catalogs.ForPractice(who.Practice))
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = p.ID
	return p, s.log(ctx, who, e)
}
