package imaging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"photovault/imaging/internal/wire"
)

// maxStderr is how much of a dying worker's last words is looked at.
const maxStderr = 8 << 10

// worker is one process that has greeted and waits for its one request.
type worker struct {
	cmd     *exec.Cmd
	in, out *os.File // our ends of its stdin and stdout
	errs    *os.File
	fences  wire.Fences
	waited  bool
	state   *os.ProcessState
	words   string // its stderr, once it has ended
	peak    int64  // the most memory it had resident, in bytes; 0 when it did not answer
}

// startWorker starts a process and waits for its greeting until the deadline. It must be called on a
// locked thread that outlives the process (see ownGroup).
func startWorker(argv []string, deadline time.Time) (*worker, error) {
	var theirs [3]*os.File
	w := &worker{}
	for i, ours := range []**os.File{&w.in, &w.out, &w.errs} {
		r, wr, err := os.Pipe()
		if err != nil {
			closeAll(theirs[:])
			w.closePipes()
			return nil, fmt.Errorf("%w: %w", ErrMachine, err)
		}
		if i == 0 {
			theirs[i], *ours = r, wr
		} else {
			theirs[i], *ours = wr, r
		}
	}
	w.cmd = &exec.Cmd{Path: argv[0], Args: argv, Env: []string{}, Dir: "/",
		Stdin: theirs[0], Stdout: theirs[1], Stderr: theirs[2], SysProcAttr: ownGroup()}
	err := w.cmd.Start()
	closeAll(theirs[:])
	if err != nil {
		w.closePipes()
		return nil, fmt.Errorf("%w: %w", ErrMachine, err)
	}
	_ = w.out.SetReadDeadline(deadline)
	hello, err := wire.ReadHello(w.out)
	_ = w.out.SetReadDeadline(time.Time{})
	if err != nil {
		w.end()
		return nil, fmt.Errorf("%w: no greeting: %w", ErrMachine, err)
	}
	w.fences = hello.Fences
	return w, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

func (w *worker) closePipes() { closeAll([]*os.File{w.in, w.out, w.errs}) }

// ask gives the worker its request and returns its answer. Whatever happens, the worker is gone when
// ask returns. ctx bounds the whole exchange; when it ends the worker is killed.
func (w *worker) ask(ctx context.Context, q wire.Request, maxAnswer int64) (wire.Answer, error) {
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		killGroup(w.cmd.Process.Pid)
		close(killed)
	})
	defer func() {
		if !stop() {
			<-killed // before the process is reaped, or the signal could hit a stranger
		}
		w.end()
	}()
	// A worker that dies on its input breaks the pipe; what it said before is the better reason.
	sent := wire.WriteRequest(w.in, q)
	a, err := wire.ReadAnswer(w.out, maxAnswer)
	if err == nil {
		w.peak = peakMemory(w.cmd.Process.Pid)
		w.in.Close()
		err = wire.ReadEnd(w.out)
	}
	if err != nil {
		return wire.Answer{}, fmt.Errorf("worker did not answer: %w", errors.Join(err, sent))
	}
	return a, nil
}

// end kills the worker if it still runs, and collects its state.
func (w *worker) end() {
	if w.waited {
		return
	}
	w.waited = true
	killGroup(w.cmd.Process.Pid)
	var last bytes.Buffer
	_ = w.errs.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(&last, io.LimitReader(w.errs, maxStderr))
	w.words = last.String()
	_ = w.cmd.Wait()
	w.state = w.cmd.ProcessState
	w.closePipes()
}

// cpu is the processor time that an ended worker has used, starting included.
func (w *worker) cpu() time.Duration {
	if w.state == nil {
		return 0
	}
	return w.state.UserTime() + w.state.SystemTime()
}

// verdict says what a worker that did not answer died of.
func (w *worker) verdict(timedOut bool) *Refusal {
	status, _ := w.state.Sys().(syscall.WaitStatus)
	switch {
	case timedOut || cpuExceeded(status):
		return &Refusal{Timeout, "opening the photo took too long"}
	case strings.Contains(w.words, "out of memory"), strings.Contains(w.words, "cannot allocate memory"):
		return &Refusal{OutOfMemory, "opening the photo needs more memory than it may have"}
	}
	return &Refusal{WorkerFailed, "the media worker failed on the photo"}
}

// killed says whether the worker neither ended by itself nor crashed.
func (w *worker) killed() bool {
	status, _ := w.state.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGKILL
}
