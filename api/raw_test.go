package api_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

var nowhere = &url.URL{Path: "/"}

// wire is a TLS connection on which a test writes what no client library would.
type wire struct {
	*tls.Conn
	s  *stack
	in *bufio.Reader
}

// dial opens one; receiveBuffer in bytes, 0 for the system's, bounds what is
// taken in without being read.
func (s *stack) dial(receiveBuffer int) *wire {
	s.Helper()
	d := &net.Dialer{Timeout: time.Minute}
	if receiveBuffer > 0 {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			return errors.Join(c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
			}), err)
		}
	}
	conn, err := tls.DialWithDialer(d, "tcp", s.address, s.ca.client)
	s.must(err)
	w := &wire{conn, s, bufio.NewReader(conn)}
	s.Cleanup(func() { _ = conn.Close() })
	s.must(conn.SetDeadline(time.Now().Add(2 * time.Minute)))
	return w
}

// send writes a request; its lines are given without line ends, and a body
// follows as it is.
func (w *wire) send(body string, lines ...string) {
	w.s.Helper()
	_, err := io.WriteString(w.Conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body)
	w.s.must(err)
}

// next reads an answer whole; ok is false when the connection has ended.
func (w *wire) next(method string) (a answer, ok bool) {
	w.s.Helper()
	res, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		return answer{}, false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, false
	}
	w.s.contract.everyAnswer("on the wire", &http.Request{Method: method, URL: nowhere}, res)
	if res.StatusCode >= 400 && method != "HEAD" {
		w.s.contract.problem("on the wire", body)
	}
	return answer{w.s, "on the wire", res.StatusCode, res.Header, body}, true
}

// answer reads one that has to come.
func (w *wire) answer(method string) answer {
	w.s.Helper()
	a, ok := w.next(method)
	if !ok {
		w.s.Fatal("no answer came")
	}
	return a
}

// ended wants nothing more to come.
func (w *wire) ended() {
	w.s.Helper()
	if b, err := io.ReadAll(w.in); len(b) > 0 {
		w.s.Fatalf("%d bytes came where the connection should have ended (%v): %.200q", len(b), err, b)
	}
}

// abort resets the connection, as a process that is killed with data unread does.
func (w *wire) abort() {
	w.s.Helper()
	w.s.must(w.NetConn().(*net.TCPConn).SetLinger(0))
	w.s.must(w.NetConn().Close())
}

// patchLines are the head of a PATCH that will carry n bytes.
func (s *stack) patchLines(upload, token string, offset, n int) []string {
	return []string{"PATCH " + upload + " HTTP/1.1", "Host: " + s.address, "Authorization: Bearer " + token, "Tus-Resumable: 1.0.0",
		"Content-Type: application/offset+octet-stream", fmt.Sprintf("Upload-Offset: %d", offset), fmt.Sprintf("Content-Length: %d", n)}
}
