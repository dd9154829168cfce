// Package timing tells whether two kinds of request can be told apart by how
// long they take. They are asked in random order within small blocks; what
// drifts with the machine's load, from block to block, is taken out by each
// block's median before the two are compared (aligned ranks: Hodges and Lehmann,
// 1962). Chance alone decided which request came when, so that the p-values are
// those of a randomized experiment, whatever the distribution of the times.
package timing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// perBlock is how many of each kind a block has.
const perBlock = 4

// Samples are the times of two kinds, block by block.
type Samples struct {
	blocks [][2][]time.Duration
}

// Took is what one request took: by the clock, as whoever asks sees it, and of
// the processor, which tells more where a busy machine lets everything wait.
type Took struct{ Clock, Processor time.Duration }

// Take asks n times for each kind, in an order that rng decides.
func Take(n int, rng *rand.Rand, ask func(kind int) (Took, error)) (clock, processor *Samples, err error) {
	clock, processor = &Samples{}, &Samples{}
	order := make([]int, 2*perBlock)
	for i := range order {
		order[i] = i % 2
	}
	for range (n + perBlock - 1) / perBlock {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var c, p [2][]time.Duration
		for _, kind := range order {
			took, err := ask(kind)
			if err != nil {
				return nil, nil, err
			}
			c[kind], p[kind] = append(c[kind], took.Clock), append(p[kind], took.Processor)
		}
		clock.blocks, processor.blocks = append(clock.blocks, c), append(processor.blocks, p)
	}
	return clock, processor, nil
}

// Verdict compares the two kinds.
type Verdict struct {
	N          int // of each kind
	Medians    [2]time.Duration
	Shift      time.Duration // median of the second less that of the first, blocks aligned
	Ranks      float64       // p-value of Mann and Whitney's test: is one of them longer?
	Kolmogorov float64       // p-value of Kolmogorov and Smirnov's: do they differ in any way?
}

func (v Verdict) String() string {
	return fmt.Sprintf("%d of each, medians %v and %v, shift %v, p = %.3g (Mann-Whitney), %.3g (Kolmogorov-Smirnov)", v.N,
		v.Medians[0].Round(time.Microsecond), v.Medians[1].Round(time.Microsecond), v.Shift.Round(time.Microsecond/10), v.Ranks, v.Kolmogorov)
}

// Differs reports a difference that chance shows less than once in a thousand
// comparisons.
func (v Verdict) Differs() bool { return v.Ranks < 0.0005 || v.Kolmogorov < 0.0005 }

// Verdict compares.
func (s *Samples) Verdict() Verdict {
	var raw, aligned [2][]float64
	for _, b := range s.blocks {
		var all []float64
		for kind := range 2 {
			for _, d := range b[kind] {
				all = append(all, float64(d))
			}
		}
		middle := median(all)
		for kind := range 2 {
			for _, d := range b[kind] {
				raw[kind] = append(raw[kind], float64(d))
				aligned[kind] = append(aligned[kind], float64(d)-middle)
			}
		}
	}
	v := Verdict{N: len(raw[0]), Shift: time.Duration(median(aligned[1]) - median(aligned[0]))}
	for kind := range 2 {
		v.Medians[kind] = time.Duration(median(raw[kind]))
	}
	v.Ranks, v.Kolmogorov = MannWhitney(aligned[0], aligned[1]), KolmogorovSmirnov(aligned[0], aligned[1])
	return v
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 && n > 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// MannWhitney returns the two-sided p-value of the rank-sum test, by the normal
// approximation with its correction for ties; for 20 or more of each.
func MannWhitney(a, b []float64) float64 {
	type value struct {
		v     float64
		first bool
	}
	var all []value
	for _, v := range a {
		all = append(all, value{v, true})
	}
	for _, v := range b {
		all = append(all, value{v, false})
	}
	slices.SortFunc(all, func(x, y value) int { return cmpFloat(x.v, y.v) })
	n, m, total := float64(len(a)), float64(len(b)), float64(len(all))
	sum, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].v == all[i].v {
			j++
		}
		rank, t := float64(i+j+1)/2, float64(j-i)
		ties += t*t*t - t
		for ; i < j; i++ {
			if all[i].first {
				sum += rank
			}
		}
	}
	u := sum - n*(n+1)/2
	deviation := math.Sqrt(n * m / 12 * (total + 1 - ties/(total*(total-1))))
	if deviation == 0 {
		return 1
	}
	return math.Erfc(math.Abs(u-n*m/2) / deviation / math.Sqrt2)
}

// KolmogorovSmirnov returns the p-value of the two-sample test, by the limiting
// distribution with Stephens' correction.
func KolmogorovSmirnov(a, b []float64) float64 {
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	distance := 0.0
	for i, j := 0, 0; i < len(x) && j < len(y); {
		at := min(x[i], y[j])
		for i < len(x) && x[i] == at {
			i++
		}
		for j < len(y) && y[j] == at {
			j++
		}
		distance = max(distance, math.Abs(float64(i)/float64(len(x))-float64(j)/float64(len(y))))
	}
	root := math.Sqrt(float64(len(x)) * float64(len(y)) / float64(len(x)+len(y)))
	lambda := (root + 0.12 + 0.11/root) * distance
	if lambda < 0.2 { // the series does not converge, and the sum is 1
		return 1
	}
	p := 0.0
	for k := 1.0; k < 100; k++ {
		term := 2 * math.Pow(-1, k-1) * math.Exp(-2*k*k*lambda*lambda)
		if p += term; math.Abs(term) < 1e-12 {
			break
		}
	}
	return min(1, max(0, p))
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
