//go:build race

package api_test

// The race detector's shadow of a worker's memory counts as the worker's.
const workerMemory = 4 << 30
