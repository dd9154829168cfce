package sealer_test

import (
	"testing"
	"time"
)

// BenchmarkSeal40MiB reports MB/s in Node, and of the same reads and WebCrypto
// calls alone, which is the floor.
func BenchmarkSeal40MiB(b *testing.B) {
	a := newApp(b)
	c := newClinic(b, time.Now().Add(time.Hour))
	for b.Loop() {
		r := run[struct{ Sealed, Floor, Begin float64 }](a, object{"enrolment": c.enrolment(), "size": 40 << 20, "rounds": 5}, "bench.mjs")
		b.ReportMetric(r.Sealed, "MB/s-sealed")
		b.ReportMetric(r.Floor, "MB/s-floor")
		b.ReportMetric(r.Begin, "ms-to-begin")
	}
}
