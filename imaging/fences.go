package imaging

import (
	"fmt"
	"strings"

	"photovault/imaging/internal/wire"
)

// Fence is one fence around a media worker and whether it holds.
type Fence struct {
	Name string
	// Holds was told by a worker; where Tried is set the worker attempted what the fence forbids.
	Holds, Tried bool
	// Required fences must hold in production. Others depend on the kernel (Landlock) or on the
	// service itself.
	Required bool
}

// Fences is the report of one worker.
type Fences []Fence

var fenceNames = []struct {
	bit             wire.Fences
	name            string
	tried, required bool
}{
	{wire.Seccomp, "system call allow-list (seccomp)", false, true},
	{wire.OpenDenied, "opening files", true, true},
	{wire.SocketDenied, "sockets", true, true},
	{wire.ExecDenied, "running programs", true, true},
	{wire.ForkDenied, "new processes", true, true},
	{wire.PtraceDenied, "tracing", true, true},
	{wire.PeekDenied, "reading other processes", true, true},
	{wire.SignalDenied, "signalling other processes", true, true},
	{wire.ExecMapDenied, "executable memory", true, true},
	{wire.MemoryLimit, "memory limit", true, true},
	{wire.NoNewPrivs, "no new privileges", false, true},
	{wire.NonDumpable, "memory unreadable to others", false, true},
	{wire.CPULimit, "CPU limit", false, true},
	{wire.NoFileWrites, "no file writes", false, true},
	{wire.NoDescriptors, "no new descriptors", false, true},
	{wire.NoCore, "no core dumps", false, true},
	{wire.EmptyEnvironment, "empty environment", false, true},
	{wire.Landlock, "file system and network denied (Landlock)", false, false},
}

func newFences(held wire.Fences) Fences {
	var out Fences
	for _, f := range fenceNames {
		out = append(out, Fence{f.name, held&f.bit != 0, f.tried, f.required})
	}
	return append(out, Fence{Name: "service memory unreadable to workers", Holds: nonDumpable()})
}

// Missing returns the required fences that do not hold. Production must not start unless it is empty.
func (f Fences) Missing() []string {
	var out []string
	for _, x := range f {
		if x.Required && !x.Holds {
			out = append(out, x.Name)
		}
	}
	return out
}

// String lists the fences, one a line.
func (f Fences) String() string {
	var b strings.Builder
	for _, x := range f {
		state := "MISSING"
		switch {
		case x.Holds && x.Tried:
			state = "holds (tried)"
		case x.Holds:
			state = "holds"
		}
		fmt.Fprintf(&b, "%-45s %s\n", x.Name, state)
	}
	return b.String()
}
