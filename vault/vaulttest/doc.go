// Package vaulttest holds one conformance suite for each contract of the
// vault's stores. Every implementation runs the suite of its contract; what a
// suite asserts is what the vault relies on, and no more.
package vaulttest
