package imaging_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"photovault/imaging"
)

// childCPU is what ended and collected children have used.
func childCPU(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// costs runs f and reports what its processes used: unlike the time that passes, that says something on
// a busy machine, too.
func costs(b *testing.B, f func()) {
	before := childCPU(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric((childCPU(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
}

func peer(b *testing.B, in []byte, name string, args ...string) {
	path, err := exec.LookPath(name)
	if err != nil {
		b.Skip(name + " is not installed")
	}
	dir := b.TempDir()
	file := filepath.Join(dir, "photo.jpg")
	for i, a := range args {
		if a == "FILE" {
			args[i] = file
		}
	}
	costs(b, func() {
		if err := os.WriteFile(file, in, 0o600); err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(path, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	})
}

// build builds a program as the service is built.
func build(b *testing.B, pkg string, flags ...string) string {
	out := filepath.Join(b.TempDir(), "program")
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", out}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFIPS140=certified", "GOFLAGS=")
	if said, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	return out
}

// Stripping alone, in place, a whole process each. The program is built without the decoder of HEIC, which is half
// of what there is to load. The floors are processes that do nothing at all: of Go, and of Go with the FIPS module, which
// tests itself when it starts; and copying the file.
func BenchmarkStripAgainstPeers(b *testing.B) {
	in := large(b)
	b.Run("photovault", func(b *testing.B) { peer(b, in, build(b, "./testdata/strip"), "FILE") })
	b.Run("floor empty program", func(b *testing.B) { peer(b, in, build(b, "./testdata/empty")) })
	b.Run("floor empty program with FIPS", func(b *testing.B) { peer(b, in, build(b, "./testdata/fips")) })
	b.Run("floor true", func(b *testing.B) { peer(b, in, "true") })
	b.Run("floor cp", func(b *testing.B) { peer(b, in, "cp", "FILE", "copy.jpg") })
	b.Run("exiftool", func(b *testing.B) { peer(b, in, "exiftool", "-q", "-overwrite_original", "-all=", "FILE") })
	b.Run("mat2", func(b *testing.B) { peer(b, in, "mat2", "--inplace", "FILE") })
}

// All three renditions: fenced in and checked by a second worker of the service's own program here; exiftool and
// two thumbnails there.
func BenchmarkThreeOutputsAgainstPeers(b *testing.B) {
	in := large(b)
	b.Run("photovault", func(b *testing.B) {
		program := build(b, "photovault/cmd/photovault", "-tags", "nodynamic")
		p := pool(b, imaging.Config{Command: []string{program, "media-worker"}}, "")
		costs(b, func() {
			if _, err := p.Process(context.Background(), in); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("exiftool", func(b *testing.B) { peer(b, in, "exiftool", "-q", "-overwrite_original", "-all=", "FILE") })
	b.Run("vipsthumbnail 1600", func(b *testing.B) {
		peer(b, in, "vipsthumbnail", "FILE", "--size", "1600x1600>", "-o", "web.jpg[Q=85,strip]")
	})
	b.Run("vipsthumbnail 320", func(b *testing.B) {
		peer(b, in, "vipsthumbnail", "FILE", "--size", "320x320>", "-o", "thumb.jpg[Q=80,strip]")
	})
}
