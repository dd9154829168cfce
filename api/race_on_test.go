//go:build race

package api_test

// Under the race detector the embedded database is some thirty times slower,
// and its shadow of a worker's memory counts as the worker's.
const (
	workerMemory   = 4 << 30
	racingRounds   = 5
	bleedingRounds = 20
	bleedingShort  = 600
)
