package vault

import (
	"context"

	"photovault/vault/id"
)

// CheckedRow is a sealed row as fsck finds it.
type CheckedRow struct {
	Table string
	ID    string // as bound into the row's seal
	Err   error  // ErrBroken: it does not open in its place, or contradicts its clear columns
	Value any    // *Account, *Photo, *PhotoKey, id.Patient, *audit.Entry, *UploadKey, *Segment and others, or nil
}

// StoredObject is a row of what should be, or once was, in the object store.
type StoredObject struct {
	Object
	State string // pending, live, doomed or dead
}

// Inspector is what a catalog does for fsck. Both read in pages.
type Inspector interface {
	// InspectRows calls f for every sealed row of the practice.
	InspectRows(ctx context.Context, f func(CheckedRow) error) error
	// InspectObjects calls f for every object that the catalog knows.
	InspectObjects(ctx context.Context, f func(StoredObject) error) error
	// PatientIDs lists every patient that has a head.
	PatientIDs(ctx context.Context) ([]id.Patient, error)
}
