package imaging_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"photovault/imaging"
)

func TestSmoke(t *testing.T) {
	p, err := imaging.NewPool(imaging.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	t.Log("\n" + p.Fences().String())
	files, _ := filepath.Glob("../../shared/photos/*")
	more, _ := filepath.Glob("../../shared/photos/broken/*")
	for _, f := range append(files, more...) {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		t0 := time.Now()
		r, err := p.Process(context.Background(), b)
		d := time.Since(t0)
		if err != nil {
			t.Log(filepath.Base(f), d, err)
			continue
		}
		f := r.Findings
		t.Log(filepath.Base(files[0]), d, len(b), f.Removed, f.Orientation, f.CaptureTime, f.HadGPS, f.EXIFUnreadable, f.SourceProfile, f.CodedDataKept, f.WorkerMaxRSS>>20)
		for _, x := range r.Renditions {
			t.Log("   ", x.Name, x.Width, x.Height, len(x.Data))
		}
	}
}
