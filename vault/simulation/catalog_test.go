package simulation_test

import (
	"context"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/secret"
)

// catalogs is a replica's way to the database. Methods that no client and no
// background work of the simulation calls are not here, and would not be held.
type catalogs struct {
	vault.Catalogs
	r *replica
}

func (c *catalogs) ForPractice(p id.Practice) vault.Catalog {
	return &practiceCatalog{c.Catalogs.ForPractice(p), c.r}
}

func (c *catalogs) Release(ctx context.Context, h consent.BearerHash) (*vault.Release, error) {
	return do(ctx, c.r, "Release("+c.r.w.called(h.String())+")", onRead, vault.ErrUnavailable, func(ctx context.Context) (*vault.Release, error) { return c.Catalogs.Release(ctx, h) })
}

func (c *catalogs) ClaimJob(ctx context.Context, now time.Time, lease time.Duration) (*vault.Job, error) {
	return do(ctx, c.r, "ClaimJob", onWrite, vault.ErrUnavailable, func(ctx context.Context) (*vault.Job, error) { return c.Catalogs.ClaimJob(ctx, now, lease) })
}

func (c *catalogs) Expired(ctx context.Context, now time.Time, limit int) ([]*vault.Upload, error) {
	return do(ctx, c.r, "Expired", onRead, vault.ErrUnavailable, func(ctx context.Context) ([]*vault.Upload, error) { return c.Catalogs.Expired(ctx, now, limit) })
}

func (c *catalogs) TakeDead(ctx context.Context, t time.Time, limit int) ([]vault.DeadObject, error) {
	return do(ctx, c.r, "TakeDead", onWrite, vault.ErrUnavailable, func(ctx context.Context) ([]vault.DeadObject, error) { return c.Catalogs.TakeDead(ctx, t, limit) })
}

func (c *catalogs) RefreshKeys(ctx context.Context) error {
	return doErr(ctx, c.r, "RefreshKeys", onRead, vault.ErrUnavailable, c.Catalogs.RefreshKeys)
}

// Practices is asked before each round of background work.
func (c *catalogs) Practices(ctx context.Context) ([]id.Practice, error) {
	if c.r.dead.Load() {
		return nil, errGone
	}
	return c.Catalogs.Practices(ctx)
}

// PracticeKeys and PracticeKey lend what is in memory after the first time.
func (c *catalogs) PracticeKey(ctx context.Context, p id.Practice, purpose keysPurpose) (*secret.Key, error) {
	if c.r.dead.Load() {
		return nil, errGone
	}
	return c.Catalogs.PracticeKey(ctx, p, purpose)
}

func (c *catalogs) PracticeKeys(ctx context.Context, p id.Practice, purpose keysPurpose) ([]*secret.Key, error) {
	if c.r.dead.Load() {
		return nil, errGone
	}
	return c.Catalogs.PracticeKeys(ctx, p, purpose)
}

// practiceCatalog is one practice's part.
type practiceCatalog struct {
	vault.Catalog
	r *replica
}

func read[T any](ctx context.Context, c *practiceCatalog, what string, f func(context.Context) (T, error)) (T, error) {
	return do(ctx, c.r, what, onRead, vault.ErrUnavailable, f)
}

func (c *practiceCatalog) write(ctx context.Context, what string, f func(context.Context) error) error {
	return doErr(ctx, c.r, what, onWrite, vault.ErrUnavailable, f)
}

// commit is a write that may also happen late.
func (c *practiceCatalog) commit(ctx context.Context, what string, f func(context.Context) error) error {
	return doErr(ctx, c.r, what, onCommit, vault.ErrUnavailable, f)
}

// name is how an id stands in the trace.
func name[T ~string](c *practiceCatalog, v T) string { return "(" + c.r.w.called(string(v)) + ")" }

func (c *practiceCatalog) ListAccounts(ctx context.Context) ([]*vault.Account, error) {
	return read(ctx, c, "ListAccounts", c.Catalog.ListAccounts)
}

func (c *practiceCatalog) RevokeAccount(ctx context.Context, a id.Account, e *audit.Entry) error {
	entry := *e
	return c.commit(ctx, "RevokeAccount", func(ctx context.Context) error { return c.Catalog.RevokeAccount(ctx, a, &entry) })
}

func (c *practiceCatalog) Patient(ctx context.Context, p id.Patient) (*vault.Patient, error) {
	return read(ctx, c, "Patient", func(ctx context.Context) (*vault.Patient, error) { return c.Catalog.Patient(ctx, p) })
}

func (c *practiceCatalog) Record(ctx context.Context, p id.Patient) (*consent.Record, error) {
	return read(ctx, c, "Record"+name(c, p), func(ctx context.Context) (*consent.Record, error) { return c.Catalog.Record(ctx, p) })
}

// AddAuthorization does not happen late: whoever reads the record afterwards
// knows whether it was recorded.
func (c *practiceCatalog) AddAuthorization(ctx context.Context, a *consent.Authorization, e *audit.Entry) error {
	return c.write(ctx, "AddAuthorization"+name(c, a.Patient), func(ctx context.Context) error { return c.Catalog.AddAuthorization(ctx, a, e) })
}

func (c *practiceCatalog) AddEvent(ctx context.Context, ev *consent.Event, e *audit.Entry) error {
	entry := *e
	return c.commit(ctx, "AddEvent "+string(ev.Kind)+name(c, ev.Patient), func(ctx context.Context) error { return c.Catalog.AddEvent(ctx, ev, &entry) })
}

func (c *practiceCatalog) Event(ctx context.Context, ev id.Event) (p id.Patient, out *consent.Event, err error) {
	p, err = read(ctx, c, "Event", func(ctx context.Context) (p id.Patient, err error) {
		p, out, err = c.Catalog.Event(ctx, ev)
		return p, err
	})
	return p, out, err
}

func (c *practiceCatalog) PatientOf(ctx context.Context, subject string) (id.Patient, error) {
	return read(ctx, c, "PatientOf", func(ctx context.Context) (id.Patient, error) { return c.Catalog.PatientOf(ctx, subject) })
}

func (c *practiceCatalog) Campaign(ctx context.Context, ca id.Campaign) (*consent.Campaign, error) {
	return read(ctx, c, "Campaign", func(ctx context.Context) (*consent.Campaign, error) { return c.Catalog.Campaign(ctx, ca) })
}

func (c *practiceCatalog) CloseCampaign(ctx context.Context, ca id.Campaign, e *audit.Entry) (*consent.Campaign, error) {
	return do(ctx, c.r, "CloseCampaign"+name(c, ca), onWrite, vault.ErrUnavailable, func(ctx context.Context) (*consent.Campaign, error) { return c.Catalog.CloseCampaign(ctx, ca, e) })
}

func (c *practiceCatalog) DeclarePhoto(ctx context.Context, p *vault.Photo, g *vault.Grant, e *audit.Entry) (*vault.Photo, error) {
	entry := *e
	return do(ctx, c.r, "DeclarePhoto", onCommit, vault.ErrUnavailable, func(ctx context.Context) (*vault.Photo, error) { return c.Catalog.DeclarePhoto(ctx, p, g, &entry) })
}

func (c *practiceCatalog) Photo(ctx context.Context, p id.Photo) (*vault.Photo, error) {
	return read(ctx, c, "Photo"+name(c, p), func(ctx context.Context) (*vault.Photo, error) { return c.Catalog.Photo(ctx, p) })
}

func (c *practiceCatalog) PlanObjects(ctx context.Context, o ...vault.Object) error {
	for _, o := range o {
		c.r.w.own(o.ID, c.r.w.called(o.Owner))
	}
	return c.commit(ctx, "PlanObjects of "+c.r.w.called(o[0].Owner), func(ctx context.Context) error { return c.Catalog.PlanObjects(ctx, o...) })
}

func (c *practiceCatalog) CommitPhoto(ctx context.Context, j *vault.Job, p *vault.Photo, k *vault.PhotoKey, e *audit.Entry) error {
	job := *j
	return c.commit(ctx, "CommitPhoto"+name(c, j.Photo), func(ctx context.Context) error { return c.Catalog.CommitPhoto(ctx, &job, p, k, e) })
}

func (c *practiceCatalog) RejectPhoto(ctx context.Context, j *vault.Job, code string, e *audit.Entry) error {
	job := *j
	return c.commit(ctx, "RejectPhoto"+name(c, j.Photo)+" "+code, func(ctx context.Context) error { return c.Catalog.RejectPhoto(ctx, &job, code, e) })
}

func (c *practiceCatalog) RenewJob(ctx context.Context, j *vault.Job, until time.Time) error {
	return c.write(ctx, "RenewJob"+name(c, j.Photo), func(ctx context.Context) error { return c.Catalog.RenewJob(ctx, j, until) })
}

func (c *practiceCatalog) ReturnJob(ctx context.Context, j *vault.Job) error {
	job := *j
	return c.commit(ctx, "ReturnJob"+name(c, j.Photo), func(ctx context.Context) error { return c.Catalog.ReturnJob(ctx, &job) })
}

func (c *practiceCatalog) RetryJob(ctx context.Context, j *vault.Job, t time.Time) error {
	job := *j
	return c.commit(ctx, "RetryJob"+name(c, j.Photo), func(ctx context.Context) error { return c.Catalog.RetryJob(ctx, &job, t) })
}

func (c *practiceCatalog) MarkDamaged(ctx context.Context, j *vault.Job, e *audit.Entry) (bool, error) {
	return do(ctx, c.r, "MarkDamaged"+name(c, j.Photo), onWrite, vault.ErrUnavailable, func(ctx context.Context) (bool, error) { return c.Catalog.MarkDamaged(ctx, j, e) })
}

func (c *practiceCatalog) DeletePhoto(ctx context.Context, p id.Photo, ev *consent.Event, e *audit.Entry) (*vault.Photo, error) {
	entry := *e
	return do(ctx, c.r, "DeletePhoto"+name(c, p), onCommit, vault.ErrUnavailable, func(ctx context.Context) (*vault.Photo, error) { return c.Catalog.DeletePhoto(ctx, p, ev, &entry) })
}

func (c *practiceCatalog) AbandonObject(ctx context.Context, o id.Object) (bool, error) {
	return do(ctx, c.r, "AbandonObject", onCommit, vault.ErrUnavailable, func(ctx context.Context) (bool, error) { return c.Catalog.AbandonObject(ctx, o) })
}

func (c *practiceCatalog) ForgetObject(ctx context.Context, o id.Object) error {
	return c.commit(ctx, "ForgetObject", func(ctx context.Context) error { return c.Catalog.ForgetObject(ctx, o) })
}

func (c *practiceCatalog) DeadObjects(ctx context.Context, owner string) ([]vault.DeadObject, error) {
	return read(ctx, c, "DeadObjects"+name(c, owner), func(ctx context.Context) ([]vault.DeadObject, error) { return c.Catalog.DeadObjects(ctx, owner) })
}

// AddUpload does not happen late: it locks the photo, so that a newer upload
// of it waits until a commit that is on its way is done, or has not happened.
func (c *practiceCatalog) AddUpload(ctx context.Context, u *vault.Upload, e *audit.Entry) error {
	return c.write(ctx, "AddUpload of"+name(c, u.Photo), func(ctx context.Context) error { return c.Catalog.AddUpload(ctx, u, e) })
}

func (c *practiceCatalog) Upload(ctx context.Context, u id.Upload) (up *vault.Upload, s []vault.Segment, err error) {
	up, err = read(ctx, c, "Upload"+name(c, u), func(ctx context.Context) (up *vault.Upload, err error) {
		up, s, err = c.Catalog.Upload(ctx, u)
		return up, err
	})
	return up, s, err
}

func (c *practiceCatalog) UploadOf(ctx context.Context, p id.Photo) (up *vault.Upload, s []vault.Segment, err error) {
	up, err = read(ctx, c, "UploadOf"+name(c, p), func(ctx context.Context) (up *vault.Upload, err error) {
		up, s, err = c.Catalog.UploadOf(ctx, p)
		return up, err
	})
	return up, s, err
}

func (c *practiceCatalog) AddSegments(ctx context.Context, u *vault.Upload, s []vault.Segment, expires time.Time, e *audit.Entry) error {
	up, list := *u, slices.Clone(s)
	return c.commit(ctx, "AddSegments"+name(c, u.ID), func(ctx context.Context) error { return c.Catalog.AddSegments(ctx, &up, list, expires, e) })
}

func (c *practiceCatalog) Concatenate(ctx context.Context, u *vault.Upload, e *audit.Entry) (*vault.Upload, error) {
	entry := *e
	return do(ctx, c.r, "Concatenate of"+name(c, u.Photo), onCommit, vault.ErrUnavailable, func(ctx context.Context) (*vault.Upload, error) { return c.Catalog.Concatenate(ctx, u, &entry) })
}

func (c *practiceCatalog) EndUpload(ctx context.Context, u id.Upload, e *audit.Entry) error {
	entry := *e
	return c.commit(ctx, "EndUpload"+name(c, u), func(ctx context.Context) error { return c.Catalog.EndUpload(ctx, u, &entry) })
}

func (c *practiceCatalog) CommitUse(ctx context.Context, f consent.Fence, u consent.Use, e *audit.Entry) (bool, error) {
	entry := *e
	return do(ctx, c.r, "CommitUse"+name(c, u.Token), onCommit, vault.ErrUnavailable, func(ctx context.Context) (bool, error) {
		ok, err := c.Catalog.CommitUse(ctx, f, u, &entry)
		if ok {
			c.r.w.committed(u)
		}
		return ok, err
	})
}

func (c *practiceCatalog) AddToken(ctx context.Context, t *consent.Token, a consent.Allowance, e *audit.Entry) (warnings []consent.Warning, err error) {
	entry, token := *e, *t // the call may outlive its caller
	return do(ctx, c.r, "AddToken of"+name(c, t.Photo), onCommit, vault.ErrUnavailable, func(ctx context.Context) ([]consent.Warning, error) {
		return c.Catalog.AddToken(ctx, &token, a, &entry)
	})
}

func (c *practiceCatalog) FinishUse(ctx context.Context, u consent.Use, o consent.UseOutcome, e *audit.Entry) error {
	entry := *e
	return c.commit(ctx, "FinishUse"+name(c, u.Token)+" "+string(o), func(ctx context.Context) error { return c.Catalog.FinishUse(ctx, u, o, &entry) })
}

func (c *practiceCatalog) Versions(ctx context.Context, of vault.Standing) (vault.Versions, error) {
	return read(ctx, c, "Versions", func(ctx context.Context) (vault.Versions, error) { return c.Catalog.Versions(ctx, of) })
}

func (c *practiceCatalog) WriteAudit(ctx context.Context, e *audit.Entry) error {
	entry := *e
	return c.commit(ctx, "WriteAudit "+string(e.Action)+" "+string(e.Outcome), func(ctx context.Context) error { return c.Catalog.WriteAudit(ctx, &entry) })
}

func (c *practiceCatalog) AuditRecords(ctx context.Context, after int64, f func(audit.Record) error) error {
	return doErr(ctx, c.r, "AuditRecords", onRead, vault.ErrUnavailable, func(ctx context.Context) error { return c.Catalog.AuditRecords(ctx, after, f) })
}

func (c *practiceCatalog) Integrate(ctx context.Context, limit int) (n int, point audit.Checkpoint, err error) {
	n, err = do(ctx, c.r, "Integrate", onWrite, vault.ErrUnavailable, func(ctx context.Context) (n int, err error) {
		n, point, err = c.Catalog.Integrate(ctx, limit)
		return n, err
	})
	return n, point, err
}

func (c *practiceCatalog) UploadKeys(ctx context.Context) ([]*vault.UploadKey, error) {
	return read(ctx, c, "UploadKeys", c.Catalog.UploadKeys)
}

func (c *practiceCatalog) InspectRows(ctx context.Context, f func(vault.CheckedRow) error) error {
	return doErr(ctx, c.r, "InspectRows", onRead, vault.ErrUnavailable, func(ctx context.Context) error { return c.Catalog.InspectRows(ctx, f) })
}

func (c *practiceCatalog) PatientIDs(ctx context.Context) ([]id.Patient, error) {
	return read(ctx, c, "PatientIDs", c.Catalog.PatientIDs)
}

func (c *practiceCatalog) Overdue(ctx context.Context, now time.Time) ([]consent.Takedown, error) {
	return read(ctx, c, "Overdue", func(ctx context.Context) ([]consent.Takedown, error) { return c.Catalog.Overdue(ctx, now) })
}

func (c *practiceCatalog) EscalateTakedown(ctx context.Context, t id.Takedown, e *audit.Entry) error {
	entry := *e
	return c.commit(ctx, "EscalateTakedown", func(ctx context.Context) error { return c.Catalog.EscalateTakedown(ctx, t, &entry) })
}

func (c *practiceCatalog) PhotoKey(ctx context.Context, p id.Photo, a id.Authorization) (*vault.PhotoKey, error) {
	return read(ctx, c, "PhotoKey"+name(c, p), func(ctx context.Context) (*vault.PhotoKey, error) { return c.Catalog.PhotoKey(ctx, p, a) })
}

func (c *practiceCatalog) Authorized(ctx context.Context) ([]id.Patient, error) {
	return read(ctx, c, "Authorized", c.Catalog.Authorized)
}

func (c *practiceCatalog) CopyHolders(ctx context.Context, by time.Time) ([]id.Patient, error) {
	return read(ctx, c, "CopyHolders", func(ctx context.Context) ([]id.Patient, error) { return c.Catalog.CopyHolders(ctx, by) })
}

func (c *practiceCatalog) EndCopies(ctx context.Context, p id.Patient, e *audit.Entry) (int, error) {
	return do(ctx, c.r, "EndCopies"+name(c, p), onWrite, vault.ErrUnavailable, func(ctx context.Context) (int, error) { return c.Catalog.EndCopies(ctx, p, e) })
}

func (c *practiceCatalog) AddCopy(ctx context.Context, p id.Patient, key *vault.PhotoKey, copied vault.Copy, e *audit.Entry) error {
	entry := *e
	return c.commit(ctx, "AddCopy"+name(c, p), func(ctx context.Context) error { return c.Catalog.AddCopy(ctx, p, key, copied, &entry) })
}
