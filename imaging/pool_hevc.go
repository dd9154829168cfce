package imaging

import (
	"runtime"
	"time"

	"photovault/imaging/internal/wire"
)

// idleHEVC is how long a worker that decodes HEVC waits for a photo. One that waits holds some 40 MiB.
const idleHEVC = time.Minute

// startHEVC starts workers that decode HEVC when they are asked for. Making ready takes them half a second
// of computing, so from the first HEIC photo on one is started ahead, the second worker of a photo while the
// first is at work, until none has come for a while. It has a thread of its own, so that nobody else waits
// for that.
func (p *Pool) startHEVC() {
	runtime.LockOSThread()
	defer close(p.quiet)
	var next started
	var size int64 // of the one that waits
	idle := time.NewTimer(idleHEVC)
	drop := func() {
		if next.w != nil {
			next.w.end()
			next.w = nil
		}
	}
	for {
		select {
		case o := <-p.hevc:
			if next.w != nil && (size != o.bytes || exited(next.w.cmd.Process.Pid)) {
				drop()
			}
			if next.w == nil {
				next = p.start(o.bytes, []string{wire.WithHEVC})
			}
			o.reply <- next
			size, next = o.bytes, p.start(o.bytes, []string{wire.WithHEVC})
			idle.Reset(idleHEVC)
		case <-idle.C:
			drop()
		case <-p.open.Done():
			drop()
			// As in startAhead: the thread outlives the workers that it started.
			<-p.done
			return
		}
	}
}
