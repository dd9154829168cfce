//go:build !race

package api_test

const (
	workerMemory   = 128 << 20 // bytes
	racingRounds   = 100
	bleedingRounds = 400 // of five requests each
	bleedingShort  = 2500
)
