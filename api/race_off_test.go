//go:build !race

package api_test

const workerMemory = 128 << 20
