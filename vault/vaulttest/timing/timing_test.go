package timing_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"photovault/vault/vaulttest/timing"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

// Against values worked out by hand from the tests' definitions.
func TestPValuesAreThoseOfTheTests(t *testing.T) {
	low, high := []float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}
	// U = 0, expected 12.5, variance 5·5·11/12: z = 2.6112.
	near(t, "ranks apart", timing.MannWhitney(low, high), 0.009023, 1e-5)
	near(t, "ranks the same", timing.MannWhitney(low, low), 1, 1e-9)
	// U = 4, ties of 2, 2 and 1 …: all of {1,1,2} and {1,2,2}: ranks 2,2,5 | 2,5,5.
	near(t, "ranks with ties", timing.MannWhitney([]float64{1, 1, 2}, []float64{1, 2, 2}), math.Erfc(1.5/math.Sqrt(9.0/12*(7-48.0/30))/math.Sqrt2), 1e-12)
	near(t, "distance 1 of five", timing.KolmogorovSmirnov(low, high), 2*math.Exp(-2*math.Pow(math.Sqrt(2.5)+0.12+0.11/math.Sqrt(2.5), 2)), 1e-4)
	near(t, "distance 0", timing.KolmogorovSmirnov(low, low), 1, 1e-9)
	// Kolmogorov's distribution at 1.3581 is the 5 % point.
	n := 40000
	a, b := make([]float64, n), make([]float64, n)
	shift := int(1.3581 * math.Sqrt(2*float64(n)))
	for i := range n {
		a[i], b[i] = float64(i), float64(i+shift)+0.5
	}
	near(t, "5 % point", timing.KolmogorovSmirnov(a, b), 0.05, 0.002)
}

// machine answers in a time with a long tail, and gets slower and faster.
func machine(rng *rand.Rand, extra time.Duration) func(int) (timing.Took, error) {
	load := 1.0
	return func(kind int) (timing.Took, error) {
		load = min(4, max(1, load*math.Exp(rng.NormFloat64()*0.02)))
		took := time.Duration(load * float64(900*time.Microsecond) * math.Exp(0.25*rng.NormFloat64()))
		if rng.IntN(20) == 0 {
			took += time.Duration(rng.ExpFloat64() * float64(5*time.Millisecond))
		}
		if kind == 1 {
			took += extra
		}
		return timing.Took{Clock: took}, nil
	}
}

// What is the same is told apart about as often as chance says, and fifty
// microseconds in a millisecond are found.
func TestADifferenceIsFoundAndNoneIsNot(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const runs = 200
	same, small := 0, 0
	for range runs {
		s, _, err := timing.Take(400, rng, machine(rng, 0))
		if err != nil {
			t.Fatal(err)
		}
		v := s.Verdict()
		if v.Ranks < 0.05 {
			small++
		}
		if v.Differs() {
			same++
		}
	}
	if same > 2 || small < runs/50 || small > runs/10 {
		t.Errorf("of %d pairs that are the same, %d were told apart, and %d have p < 0.05", runs, same, small)
	}
	s, _, err := timing.Take(10000, rng, machine(rng, 50*time.Microsecond))
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Verdict(); !v.Differs() || v.Shift < 30*time.Microsecond || v.Shift > 70*time.Microsecond || v.N != 10000 {
		t.Errorf("fifty microseconds: %v", v)
	}
}
