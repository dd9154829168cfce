package imaging_test

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"photovault/imaging/codec"
	"photovault/imaging/internal/sandbox"
	"photovault/imaging/internal/wire"
)

// TestMain lets the test binary be the worker that its own pools start: the real one, one without
// fences, or one that goes wrong on photos that say how.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "media-worker":
			os.Exit(codec.WorkerMain(os.Stdin, os.Stdout, os.Args[2:]))
		case "faulty-worker":
			os.Exit(faultyWorker(os.Args[2:]))
		case "silent-worker":
			os.Exit(0)
		case "unfenced-worker":
			_ = wire.WriteHello(os.Stdout, wire.Hello{})
			_, _ = wire.ReadRequest(os.Stdin, 1<<20)
			_ = wire.WriteAnswer(os.Stdout, wire.Answer{Held: sandbox.Probe(sandbox.Config{MemoryBytes: 1 << 28})})
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// faultyWorker is fenced in and works as the real one does, except on photos with a comment that
// names a fault.
func faultyWorker(args []string) int {
	c, err := sandbox.ParseArgs(args)
	if err != nil {
		return 2
	}
	_ = wire.WriteHello(os.Stdout, wire.Hello{Fences: sandbox.Enter(c)})
	q, err := wire.ReadRequest(os.Stdin, 1<<30)
	if err != nil {
		return 1
	}
	if q.Mode == wire.Probe {
		_ = wire.WriteAnswer(os.Stdout, wire.Answer{Held: sandbox.Probe(c)})
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	}
	a := codec.Answer(q)
	if q.Mode == wire.Sanitise {
		has := func(fault string) bool { return bytes.Contains(q.Blobs[0], []byte("fault:"+fault)) }
		original := func() []byte { return a.Renditions[0].Data }
		switch {
		case has("crash"):
			panic("crash")
		case has("exit"):
			return 0
		case has("hang"):
			time.Sleep(time.Hour)
		case has("spin"):
			for i := 0; ; i++ {
				if i < 0 {
					return 1
				}
			}
		case has("memory"):
			var keep [][]byte
			for {
				b := make([]byte, 1<<20)
				for i := range b {
					b[i] = 1
				}
				keep = append(keep, b)
				runtime.KeepAlive(keep)
			}
		case has("garbage"):
			_, _ = os.Stdout.Write(bytes.Repeat([]byte("garbage!"), 1000))
			return 0
		case has("endless"):
			for {
				if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
					return 1
				}
			}
		case has("huge"):
			// A frame whose head promises more than may come.
			a.Renditions[0].Data = make([]byte, 40<<20)
		case has("trailing"):
			_ = wire.WriteAnswer(os.Stdout, a)
			_, _ = os.Stdout.Write([]byte("and more"))
			_, _ = io.Copy(io.Discard, os.Stdin)
			return 0
		case has("needs-more"):
			a = wire.Answer{Code: "too_many_pixels", Need: q.Limits.MemoryBytes + 1<<20}
		case has("needs-all"):
			a = wire.Answer{Code: "too_many_pixels", Need: 1 << 61}
		case has("needs-less"):
			a = wire.Answer{Code: "too_many_pixels", Need: 1}
		case has("leak"):
			a.Renditions[0].Data = append(original()[:2:2], append([]byte("\xFF\xFE\x00\x0Asecret!!"), original()[2:]...)...)
		case has("trailer"):
			a.Renditions[1].Data = append(a.Renditions[1].Data, "secret"...)
		case has("notjpeg"):
			a.Renditions[2].Data = []byte("<svg onload=alert(1)>")
		case has("size"):
			a.Renditions[0].Width++
		case has("swap"):
			// Another picture than the one claimed to be kept.
			a.Renditions[0].Data = a.Renditions[1].Data
		case has("few"):
			a.Renditions = a.Renditions[:2]
		case has("name"):
			a.Renditions[0].Name = "../../etc"
		case has("kind"):
			a.Findings.Removed = []wire.Removed{{Kind: "secret: 52.5200N 13.4050E", Bytes: 1}}
		case has("time"):
			a.Findings.CaptureTime = "secret"
		case has("bytes"):
			a.Findings.Removed[0].Bytes = 1 << 40
		case has("profile"):
			a.Findings.SourceProfile = "secret"
		case has("detail"):
			a = wire.Answer{Code: "truncated", Detail: "secret: 52.5200N 13.4050E"}
		case has("code"):
			a = wire.Answer{Code: "made_up", Detail: "bad\x00\x1b[31m detail"}
		}
	}
	_ = wire.WriteAnswer(os.Stdout, a)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}
