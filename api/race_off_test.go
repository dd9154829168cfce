//go:build !race

package api_test

const (
	workerMemory   = 128 << 20 // bytes
	racingRounds   = 30
	bleedingRounds = 400 // of five requests each
	bleedingShort  = 2500
)
