package simulation_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// Stores that break what their contracts promise: each lie breaks a promise,
// and the simulation must see it. What it does not see here, it would not see
// in our own code either.
func TestAStoreThatLiesIsCaught(t *testing.T) {
	from, first := newTemplate(t), uint64(1)
	if n, err := strconv.ParseUint(os.Getenv("PHOTOVAULT_SIM_SEED"), 10, 64); err == nil {
		first = n
	}
	for _, lie := range []struct {
		name    string
		slow    bool   // to be seen: in make soak only
		promise string // that is found broken
		tell    func(w *world, c *liar)
	}{
		{"a use is committed although the record has moved", true, "P3", func(w *world, c *liar) {
			c.commitUse = func(ctx context.Context, f consent.Fence, u consent.Use, e *audit.Entry) (bool, error) {
				r, err := c.Catalog.Record(ctx, f.Patient)
				if err != nil {
					return false, err
				}
				f.Epoch = r.Epoch
				return c.Catalog.CommitUse(ctx, f, u, e)
			}
		}},
		{"a use is committed without its audit entry", false, "P4", func(w *world, c *liar) {
			c.commitUse = func(context.Context, consent.Fence, consent.Use, *audit.Entry) (bool, error) { return true, nil }
		}},
		{"every delivery is said to have been broken off", true, "P4", func(w *world, c *liar) {
			c.finishUse = func(ctx context.Context, u consent.Use, _ consent.UseOutcome, e *audit.Entry) error {
				return c.Catalog.FinishUse(ctx, u, consent.UseIncomplete, e)
			}
		}},
		{"a revocation is acknowledged and not written", true, "P3", func(w *world, c *liar) {
			c.addEvent = func(context.Context, *consent.Event, *audit.Entry) error { return nil }
		}},
		{"what a running delivery stands on is said not to have moved", true, "P3", func(w *world, c *liar) {
			c.versions = func(ctx context.Context, of vault.Standing) (vault.Versions, error) {
				v, err := c.Catalog.Versions(ctx, of)
				for p, n := range v.Patients {
					if first, known := c.epochs[p]; known {
						v.Patients[p] = first
					} else {
						c.epochs[p] = n
					}
				}
				return v, err
			}
		}},
		{"a segment is acknowledged and not linked", false, "P7", func(w *world, c *liar) {
			c.addSegments = func(context.Context, *vault.Upload, []vault.Segment, time.Time, *audit.Entry) error { return nil }
		}},
		{"a segment is linked that is not in the store", false, "P7", func(w *world, c *liar) {
			c.addSegments = func(ctx context.Context, u *vault.Upload, s []vault.Segment, expires time.Time, e *audit.Entry) error {
				if err := w.store.Delete(ctx, blobs.Name{Practice: w.practice, Area: blobs.Staging, Object: s[0].Object}); err != nil {
					return err
				}
				return c.Catalog.AddSegments(ctx, u, s, expires, e)
			}
		}},
		{"an upload goes back by one segment", false, "P7", func(w *world, c *liar) {
			c.upload = func(ctx context.Context, u id.Upload) (*vault.Upload, []vault.Segment, error) {
				up, segments, err := c.Catalog.Upload(ctx, u)
				if err == nil && len(segments) > 1 {
					segments = segments[:len(segments)-1]
					up.Offset = segments[len(segments)-1].Start + segments[len(segments)-1].Size
				}
				return up, segments, err
			}
		}},
		{"a photo is made ready with one rendition missing", false, "P7", func(w *world, c *liar) {
			c.commitPhoto = func(ctx context.Context, j *vault.Job, p *vault.Photo, k *vault.PhotoKey, e *audit.Entry) error {
				less := *p
				less.Renditions = slices.Clone(p.Renditions[:2])
				return c.Catalog.CommitPhoto(ctx, j, &less, k, e)
			}
		}},
		{"a photo is said to be ready and is not", true, "P7", func(w *world, c *liar) {
			c.commitPhoto = func(context.Context, *vault.Job, *vault.Photo, *vault.PhotoKey, *audit.Entry) error { return nil }
		}},
		{"objects in use are swept", false, "P7", func(w *world, c *liar) {
			c.deadObjects = func(ctx context.Context, owner string) (list []vault.DeadObject, err error) {
				err = c.Catalog.InspectObjects(ctx, func(o vault.StoredObject) error {
					if o.State == "live" && o.Area == string(blobs.Photos) {
						list = append(list, vault.DeadObject{Practice: w.practice, Object: o.Object})
					}
					return nil
				})
				return list, err
			}
		}},
		{"dead objects are forgotten and left in the store", true, "P7", func(w *world, c *liar) {
			c.deadObjects = func(ctx context.Context, owner string) ([]vault.DeadObject, error) {
				list, err := c.Catalog.DeadObjects(ctx, owner)
				for _, o := range list {
					err = errors.Join(err, c.Catalog.ForgetObject(ctx, o.ID))
				}
				return nil, err
			}
		}},
	} {
		t.Run(strings.ReplaceAll(lie.name, " ", "_"), func(t *testing.T) {
			if lie.slow && os.Getenv("PHOTOVAULT_SIM_SEEDS") == "" {
				t.Skip("make soak runs it")
			}
			for seed := first; seed <= first+39; seed++ {
				out := run(t, from, seed, usualSteps, func(w *world, honest vault.Catalogs) vault.Catalogs {
					return &liars{honest, w, lie.tell, map[id.Patient]int64{}}
				})
				if i := slices.IndexFunc(out.findings, func(f string) bool { return strings.HasPrefix(f, lie.promise) }); i >= 0 {
					t.Logf("seed %d, step %d: %s", seed, out.steps, out.findings[i])
					return
				}
				if len(out.findings) > 0 {
					t.Error("found something else than the lie")
					out.report(t)
					return
				}
			}
			t.Error("not caught with forty seeds")
		})
	}
}

type liars struct {
	vault.Catalogs
	w    *world
	tell func(*world, *liar)

	epochs map[id.Patient]int64 // first seen
}

func (l *liars) ForPractice(p id.Practice) vault.Catalog {
	c := &liar{Catalog: l.Catalogs.ForPractice(p), epochs: l.epochs}
	l.tell(l.w, c)
	return c
}

// liar is a catalog that lies where a function is set.
type liar struct {
	vault.Catalog
	epochs      map[id.Patient]int64
	commitUse   func(context.Context, consent.Fence, consent.Use, *audit.Entry) (bool, error)
	finishUse   func(context.Context, consent.Use, consent.UseOutcome, *audit.Entry) error
	addEvent    func(context.Context, *consent.Event, *audit.Entry) error
	versions    func(context.Context, vault.Standing) (vault.Versions, error)
	addSegments func(context.Context, *vault.Upload, []vault.Segment, time.Time, *audit.Entry) error
	upload      func(context.Context, id.Upload) (*vault.Upload, []vault.Segment, error)
	commitPhoto func(context.Context, *vault.Job, *vault.Photo, *vault.PhotoKey, *audit.Entry) error
	deadObjects func(context.Context, string) ([]vault.DeadObject, error)
}

func (c *liar) CommitUse(ctx context.Context, f consent.Fence, u consent.Use, e *audit.Entry) (bool, error) {
	if c.commitUse != nil {
		return c.commitUse(ctx, f, u, e)
	}
	return c.Catalog.CommitUse(ctx, f, u, e)
}

func (c *liar) FinishUse(ctx context.Context, u consent.Use, o consent.UseOutcome, e *audit.Entry) error {
	if c.finishUse != nil {
		return c.finishUse(ctx, u, o, e)
	}
	return c.Catalog.FinishUse(ctx, u, o, e)
}

func (c *liar) AddEvent(ctx context.Context, ev *consent.Event, e *audit.Entry) error {
	if c.addEvent != nil {
		return c.addEvent(ctx, ev, e)
	}
	return c.Catalog.AddEvent(ctx, ev, e)
}

func (c *liar) Versions(ctx context.Context, of vault.Standing) (vault.Versions, error) {
	if c.versions != nil {
		return c.versions(ctx, of)
	}
	return c.Catalog.Versions(ctx, of)
}

func (c *liar) AddSegments(ctx context.Context, u *vault.Upload, s []vault.Segment, expires time.Time, e *audit.Entry) error {
	if c.addSegments != nil {
		return c.addSegments(ctx, u, s, expires, e)
	}
	return c.Catalog.AddSegments(ctx, u, s, expires, e)
}

func (c *liar) Upload(ctx context.Context, u id.Upload) (*vault.Upload, []vault.Segment, error) {
	if c.upload != nil {
		return c.upload(ctx, u)
	}
	return c.Catalog.Upload(ctx, u)
}

func (c *liar) CommitPhoto(ctx context.Context, j *vault.Job, p *vault.Photo, k *vault.PhotoKey, e *audit.Entry) error {
	if c.commitPhoto != nil {
		return c.commitPhoto(ctx, j, p, k, e)
	}
	return c.Catalog.CommitPhoto(ctx, j, p, k, e)
}

func (c *liar) DeadObjects(ctx context.Context, owner string) ([]vault.DeadObject, error) {
	if c.deadObjects != nil {
		return c.deadObjects(ctx, owner)
	}
	return c.Catalog.DeadObjects(ctx, owner)
}
