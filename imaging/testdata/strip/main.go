//go:build linux

// Command strip takes all but the picture out of one JPEG file, in place, and does nothing else: a whole
// process to measure beside tools that do the same. It decodes nothing, and so misses what hides behind the last
// block of a scan, which sanitising finds.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
)

var limits = wire.Limits{MaxPixels: 80e6, MaxSide: 65500, MemoryBytes: 1 << 30}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: strip FILE")
		os.Exit(2)
	}
	if err := strip(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "strip:", err)
		os.Exit(1)
	}
}

// strip maps the file, so that what is kept of it goes from one file to the other without a copy in between.
func strip(name string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	in, err := unix.Mmap(int(from.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		return err
	}
	pieces, err := codec.StripPieces(in, limits)
	if err != nil {
		return err
	}
	to, err := os.OpenFile(name+".strip", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if _, err := to.Write(p); err != nil {
			return err
		}
	}
	if err := to.Close(); err != nil {
		return err
	}
	return os.Rename(name+".strip", name)
}
