package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A smuggled request is one that a proxy takes for a part of another's body,
// and the service for a request of its own. Here each way of framing that two
// readers may read in two ways is tried on each kind of route, with a hidden
// request where one of the readings ends. At most one answer may come, and the
// hidden request must never run.

// framed is one way to send a request with something hidden in it.
type framed struct {
	name string
	line func(target) string // the request line, with its end; nil: the target's
	head string              // after the line, with its end
	body string
}

// target is where it is sent.
type target struct{ name, method, path, head string }

const host = "Host: x\r\n"

// framings is the matrix's one side.
func framings() (out []framed) {
	add := func(name, head, body string) {
		out = append(out, framed{name: name, head: host + head + "\r\n", body: body})
	}
	n := len(hidden)
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, hidden)
	first := strings.Index(chunk, "\r\n") + 2 // a reader by length ends before the hidden request
	early := "0\r\n\r\n" + hidden             // a reader by chunks does

	// Lengths: one reader's number of bytes is another's nonsense.
	for _, v := range []string{"+%d", "-%d", "0x%x", "0X%x", "%d,", ",%d", "%d,%[1]d", "%d, 0", "0, %d", "%d 0", "0 %d", "%d.0", "%de0", "%d;x", "'%d'", `"%d"`,
		"\x0b%d", "%d\x0b", "\x0c%d", "%d\x00", "\x00%d", "０%d", "%d\x85", "_%d", "1844674407370955%d", "99999999999999999999%d", "", " ", "NaN", "(x) %d"} {
		text := v
		if strings.Contains(v, "%") {
			text = fmt.Sprintf(v, n)
		}
		add(fmt.Sprintf("length %q", v), "Content-Length: "+text+"\r\n", hidden)
		if strings.Contains(v, "%") && !strings.HasPrefix(v, "1") {
			add(fmt.Sprintf("length %q of 0", v), "Content-Length: "+fmt.Sprintf(v, 0)+"\r\n", hidden)
		}
	}
	for _, pair := range [][2]int{{n, 0}, {0, n}, {n, n}, {n, n + 1}, {4, n}} {
		add(fmt.Sprintf("two lengths %v", pair), fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n", pair[0], pair[1]), hidden)
		add(fmt.Sprintf("two lengths %v in two cases", pair), fmt.Sprintf("content-length: %d\r\nCONTENT-LENGTH: %d\r\n", pair[0], pair[1]), hidden)
	}
	for _, name := range []string{"Content-Length ", "Content-Length\t", " Content-Length", "\tContent-Length", "Content Length", "Content_Length", "Content-Length\x00",
		"Content-Length\x0b", "Content\x00-Length", "Content-Length\r", "\rContent-Length", "X\nContent-Length", "Content--Length", "Cоntent-Length" /* a Cyrillic o */} {
		add(fmt.Sprintf("length called %q", name), fmt.Sprintf("%s: %d\r\n", name, n), hidden)
		add(fmt.Sprintf("length called %q beside one of 0", name), fmt.Sprintf("Content-Length: 0\r\n%s: %d\r\n", name, n), hidden)
		add(fmt.Sprintf("length called %q of 0 beside one", name), fmt.Sprintf("Content-Length: %d\r\n%s: 0\r\n", n, name), hidden)
	}

	// Both, in both orders: CL.TE and TE.CL; and chunks that not all see: TE.TE.
	codings := []string{"Transfer-Encoding: chunked"}
	for _, v := range []string{"identity", "chunked, identity", "identity, chunked", "chunked, chunked", "chunked chunked", "gzip, chunked", "chunked, gzip", "gzip",
		"xchunked", "chunkedx", "x chunked", "chunked;q=1", "chunked,", ",chunked", `"chunked"`, "'chunked'", "[chunked]", "\tchunked", "chunked\t", " chunked ",
		"\x0bchunked", "chunked\x0b", "\x0cchunked", "chunked\x00", "\x00chunked", "CHUNKED", "ChUnKeD", "chun\u212aed", "chunke\u0064\u0301", "cow", "", " ", "\r\n chunked",
		"x\r\n chunked", "chu\r\n nked", "\n chunked", "\nchunked", "x\nTransfer-Encoding: chunked", "x\rTransfer-Encoding: chunked", "chunked\rX: y", "chunked\nX: y"} {
		codings = append(codings, "Transfer-Encoding: "+v)
	}
	for _, name := range []string{"Transfer-Encoding ", "Transfer-Encoding\t", "Transfer-Encoding  ", " Transfer-Encoding", "\tTransfer-Encoding", "Transfer Encoding",
		"Transfer_Encoding", "Transfer--Encoding", "Transfer-Encoding-", "Transfer‐Encoding", "Transfer-Encoding\x00", "Transfer-Encoding\x0b", "\x00Transfer-Encoding", "TRANSFER-ENCODING",
		"transfer-encoding", "Transfer-Encoding\r", "\rTransfer-Encoding", "X: y\nTransfer-Encoding", "X: y\rTransfer-Encoding", "X: y\n\nTransfer-Encoding", "X\r\n Transfer-Encoding"} {
		codings = append(codings, name+": chunked")
	}
	codings = append(codings, "Transfer-Encoding:chunked", "Transfer-Encoding\r\n: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"Transfer-Encoding: chunked\r\nTransfer-encoding: cow", "Transfer-Encoding: chunked\r\nTransfer_Encoding: x")
	for _, c := range codings {
		add(fmt.Sprintf("CL.TE %q", c), fmt.Sprintf("Content-Length: %d\r\n%s\r\n", len(early), c), early)
		add(fmt.Sprintf("TE.CL %q", c), fmt.Sprintf("%s\r\nContent-Length: %d\r\n", c, first), chunk)
		add(fmt.Sprintf("CL.0 %q", c), fmt.Sprintf("Content-Length: 0\r\n%s\r\n", c), early)
		add(fmt.Sprintf("TE.TE %q", c), fmt.Sprintf("Transfer-Encoding: chunked\r\n%s\r\n", c), early)
		add(fmt.Sprintf("TE.TE %q first", c), fmt.Sprintf("%s\r\nTransfer-Encoding: chunked\r\n", c), early)
	}

	// Chunks: sizes and line ends that one reader skips and another does not.
	sized := func(size string) string { return size + "\r\n" + hidden + "\r\n0\r\n\r\n" }
	hex := fmt.Sprintf("%x", n)
	for name, body := range map[string]string{
		"a sign": sized("+" + hex), "a minus": sized("-" + hex), "0x": sized("0x" + hex), "a space before": sized(" " + hex), "a space behind": sized(hex + " "),
		"a tab behind": sized(hex + "\t"), "a comma": sized(hex + ",0"), "an underscore": sized(hex + "_0"), "none": sized(""), "letters": sized("zz"),
		"too large": sized("ffffffffffffffff" + hex), "wrapping": sized("10000000000000000"), "leading zeroes": sized(strings.Repeat("0", 40) + hex),
		"an extension": sized(hex + ";x=y"), "an extension with a space": sized(hex + " ; x"), "an extension in quotes": sized(hex + ";x=\"\r\n0\r\n\r\n\""),
		"a line feed in an extension": hex + ";x\n" + hidden, "a line feed ends the size": hex + "\n" + hidden + "\r\n0\r\n\r\n", "a carriage return ends the size": hex + "\r" + hidden,
		"a carriage return in an extension": hex + ";\rx\r\n" + hidden + "\r\n0\r\n\r\n", "no end": hex + "\r\n" + hidden + "0\r\n\r\n", "another end": hex + "\r\n" + hidden + "XX0\r\n\r\n",
		"a line feed for an end": hex + "\r\n" + hidden + "\n0\r\n\r\n", "line feeds at the end": "0\n\n" + hidden, "line feed and end": "0\r\n\n" + hidden, "end and line feed": "0\n\r\n" + hidden,
		"no last end": "0\r\n" + hidden, "a trailer of hidden lines": "0\r\n" + hidden + "\r\n", "a trailer with a length": "0\r\nContent-Length: 4\r\n\r\n" + hidden,
		"a trailer with a coding": "0\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden, "a folded trailer": "0\r\nX: y\r\n z\r\n\r\n" + hidden, "a trailer without a colon": "0\r\nx\r\n\r\n" + hidden,
		"two last chunks": "0\r\n\r\n0\r\n\r\n" + hidden, "a last chunk of many zeroes": "00000000\r\n\r\n" + hidden, "a last chunk with a sign": "-0\r\n\r\n" + hidden,
		"NUL behind the size": hex + "\x00\r\n" + hidden + "\r\n0\r\n\r\n",
	} {
		add("chunk: "+name, "Transfer-Encoding: chunked\r\n", body)
	}

	// Heads: where a line, the head or the request ends.
	length := fmt.Sprintf("Content-Length: %d\r\n", n)
	raw := func(name, head, body string) { out = append(out, framed{name: name, head: head, body: body}) }
	raw("head ends LF LF", host+"X: y\n\n", hidden)
	raw("head ends CRLF LF", host+"X: y\r\n\n", hidden)
	raw("head ends LF CRLF", host+"X: y\n\r\n", hidden)
	raw("head ends CR CR", host+"X: y\r\r", hidden)
	raw("head ends CR LF CR", host+"X: y\r\n\r", hidden)
	raw("every line ends LF", "Host: x\nContent-Length: 0\n\n", hidden)
	raw("every line ends CR", "Host: x\rContent-Length: 0\r\r", hidden)
	raw("a value with LF LF", host+"X: y\n\nZ: "+strings.TrimSuffix(hidden, "\r\n\r\n")+"\r\n\r\n", "")
	raw("an empty name", host+": x\r\n"+length+"\r\n", hidden)
	raw("a line without a colon", host+"x\r\n"+length+"\r\n", hidden)
	raw("NUL in a name", host+"X\x00: y\r\n"+length+"\r\n", hidden)
	raw("NUL in a value", host+"X: y\x00z\r\n"+length+"\r\n", hidden)
	raw("NUL and a line end", host+"X: y\x00\r\n\x00\r\n"+length+"\r\n", hidden)
	raw("CR in a value", host+"X: y\rz\r\n"+length+"\r\n", hidden)
	raw("folded", host+"X: y\r\n z\r\n"+length+"\r\n", hidden)
	raw("folded by a tab", host+"X: y\r\n\tz\r\n"+length+"\r\n", hidden)
	raw("a folded Host", "Host:\r\n x\r\n"+length+"\r\n", hidden)
	raw("a folded length", host+fmt.Sprintf("Content-Length:\r\n %d\r\n\r\n", n), hidden)
	raw("a length folded in two", host+fmt.Sprintf("Content-Length: 0\r\n %d\r\n\r\n", n), hidden)
	raw("folded before any field", " X: y\r\n"+host+length+"\r\n", hidden)
	raw("a fold that is empty", host+"X: y\r\n \r\n"+length+"\r\n", hidden)
	raw("no Host", length+"\r\n", hidden)
	raw("two Hosts", host+"Host: y\r\n"+length+"\r\n", hidden)
	raw("an empty Host", "Host:\r\n"+length+"\r\n", hidden)
	raw("a Host with a path", "Host: x/v1/openapi.yaml\r\n"+length+"\r\n", hidden)
	raw("Connection: close", host+"Connection: close\r\nContent-Length: 0\r\n\r\n", hidden)
	raw("Connection names the length", host+"Connection: Content-Length\r\n"+length+"\r\n", hidden)
	raw("Connection names the coding", host+"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n", early)
	raw("Upgrade: h2c", host+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"+length+"\r\n", hidden)
	raw("Upgrade: websocket", host+"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+length+"\r\n", hidden)
	raw("Expect", host+"Expect: 100-continue\r\n"+length+"\r\n", hidden)
	raw("Expect without a length", host+"Expect: 100-continue\r\nConnection: close\r\n\r\n", hidden)
	raw("Expect and chunks", host+"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", early)
	raw("Expect twice", host+"Expect: 100-continue\r\nExpect: 100-continue\r\n"+length+"\r\n", hidden)
	raw("Expect something else", host+"Expect: y 100-continue\r\n"+length+"\r\n", hidden)
	raw("a length and more than is read", host+"Content-Length: 99999999\r\n\r\n", hidden)
	raw("a value longer than a head may be", host+"X: "+strings.Repeat("y", 20<<10)+"\r\n"+length+"\r\n", hidden)
	raw("a name longer than a head may be", host+strings.Repeat("X", 20<<10)+": y\r\n"+length+"\r\n", hidden)
	raw("more fields than a head may have", host+strings.Repeat("X: y\r\n", 4000)+length+"\r\n", hidden)

	// Request lines.
	line := func(name string, f func(target) string, head, body string) {
		out = append(out, framed{name, f, head, body})
	}
	form := func(name, format string) {
		line("line: "+name, func(t target) string { return fmt.Sprintf(format, t.method, t.path) }, host+length+"\r\n", hidden)
	}
	form("absolute, of another host", "%s https://else.example%s HTTP/1.1\r\n")
	form("absolute, with a user", "%s https://x:y@x%s HTTP/1.1\r\n")
	form("absolute, unknown scheme", "%s cow://x%s HTTP/1.1\r\n")
	form("absolute, no host", "%s https://%s HTTP/1.1\r\n")
	form("authority", "%s x:443 HTTP/1.1\r\n")
	form("asterisk", "%s * HTTP/1.1\r\n")
	form("two slashes", "%s //else.example%s HTTP/1.1\r\n")
	form("a fragment", "%s %s#x HTTP/1.1\r\n")
	form("a space in the path", "%s %s x HTTP/1.1\r\n")
	form("a request in the path", "%s %s HTTP/1.1 GET /v1/openapi.yaml HTTP/1.1\r\n")
	form("line ends in the path", "%s %s\r\n\r\nGET /v1/openapi.yaml HTTP/1.1\r\n")
	form("NUL in the path", "%s %s\x00 HTTP/1.1\r\n")
	form("two spaces", "%s  %s HTTP/1.1\r\n")
	form("a tab", "%s\t%s\tHTTP/1.1\r\n")
	form("a space before", " %s %s HTTP/1.1\r\n")
	form("a line before", "\r\n%s %s HTTP/1.1\r\n")
	form("LF before", "\n%s %s HTTP/1.1\r\n")
	form("CR before", "\r%s %s HTTP/1.1\r\n")
	form("ends LF", "%s %s HTTP/1.1\n")
	form("ends CR", "%s %s HTTP/1.1\r")
	form("ends CR CR LF", "%s %s HTTP/1.1\r\r\n")
	form("a space behind", "%s %s HTTP/1.1 \r\n")
	form("HTTP/1.2", "%s %s HTTP/1.2\r\n")
	form("HTTP/2.0", "%s %s HTTP/2.0\r\n")
	form("HTTP/11", "%s %s HTTP/11\r\n")
	form("HTTP/1.10", "%s %s HTTP/1.10\r\n")
	form("http/1.1", "%s %s http/1.1\r\n")
	form("no version", "%s %s\r\n")
	form("a method in lower case", "x%s %s HTTP/1.1\r\n")
	form("a method with NUL", "\x00%s %s HTTP/1.1\r\n")
	form("HTTP/1.0", "%s %s HTTP/1.0\r\n")
	old := func(t target) string { return t.method + " " + t.path + " HTTP/1.0\r\n" }
	line("HTTP/1.0, no length", old, host+"\r\n", hidden)
	line("HTTP/1.0, no Host", old, length+"\r\n", hidden)
	line("HTTP/1.0, kept alive", old, host+"Connection: keep-alive\r\n"+length+"\r\n", hidden)
	line("HTTP/1.0, chunks", old, host+"Transfer-Encoding: chunked\r\n\r\n", early)
	line("HTTP/1.0, kept alive, chunks", old, host+"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", early)
	line("HTTP/1.0, chunks and a length", old, host+"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"+length+"\r\n", hidden)
	line("HTTP/0.9", func(t target) string { return t.method + " " + t.path + "\r\n" }, "", hidden)
	line("CONNECT", func(target) string { return "CONNECT x:443 HTTP/1.1\r\n" }, host+length+"\r\n", hidden)
	line("HTTP/2's preface", func(target) string { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }, "", hidden)
	return out
}

// watch counts the requests that reached the hidden one's route.
type watch struct {
	slog.Handler
	mu     sync.Mutex
	hidden int
	all    int
}

func (w *watch) Enabled(context.Context, slog.Level) bool { return true }
func (w *watch) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "route" {
			w.all++
			if a.Value.String() == "/v1/openapi.yaml" {
				w.hidden++
			}
		}
		return true
	})
	return nil
}

func (w *watch) seen() (hidden, all int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hidden, w.all
}

// targets are a route for each thing that can become of a body: it is read; it
// is not wanted; it is not read because something else is wrong; there is no
// such route, or no such method.
func (s *stack) targets() []target {
	s.Helper()
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	return []target{
		{"read", "POST", "/v1/patients/find", "Authorization: Bearer " + s.token("provider") + "\r\n"},
		{"an upload's", "PATCH", up, "Authorization: Bearer " + x.Grant + "\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 5\r\n"},
		{"not wanted", "GET", "/healthz", ""},
		{"no such route", "POST", "/nowhere", ""},
		{"no such method", "PUT", "/v1/photos", ""},
	}
}

// delivery is how the bytes come: all at once, with the sending side closed
// behind them or left open; cut in two; or each in a TLS record of its own.
type delivery struct {
	name  string
	open  bool
	write func(io.Writer, string, *rand.Rand) error
}

var deliveries = []delivery{
	{"at once", false, func(w io.Writer, text string, _ *rand.Rand) error { _, err := io.WriteString(w, text); return err }},
	{"at once, left open", true, func(w io.Writer, text string, _ *rand.Rand) error { _, err := io.WriteString(w, text); return err }},
	{"in two", false, func(w io.Writer, text string, r *rand.Rand) error {
		at := r.IntN(len(text))
		if _, err := io.WriteString(w, text[:at]); err != nil {
			return err
		}
		<-time.After(time.Millisecond) // so that they are read apart
		_, err := io.WriteString(w, text[at:])
		return err
	}},
	{"byte by byte", false, func(w io.Writer, text string, _ *rand.Rand) error {
		for i := range len(text) {
			if _, err := io.WriteString(w, text[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}},
}

// smuggle sends it and counts the answers; hiddenSeen: one was the hidden request's.
func (s *stack) smuggle(t target, f framed, d delivery, r *rand.Rand) (answers int, hiddenSeen bool) {
	s.Helper()
	line := t.method + " " + t.path + " HTTP/1.1\r\n"
	if f.line != nil {
		line = f.line(t)
	}
	w := s.dial(0)
	defer w.Close()
	_ = d.write(w.Conn, line+t.head+f.head+f.body, r) // fails if the service has closed already
	if d.open {
		s.must(w.SetReadDeadline(time.Now().Add(quiet)))
	} else {
		_ = w.CloseWrite()
	}
	return count(w.in, t.method)
}

// quiet is how long nothing may come before that is taken for no answer: more
// than the service waits for the rest of a body that it does not want.
const quiet = 700 * time.Millisecond

func count(in *bufio.Reader, method string) (answers int, hiddenSeen bool) {
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return answers, hiddenSeen
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode >= 200 {
			answers++
		}
		hiddenSeen = hiddenSeen || strings.Contains(string(body), "openapi: 3.1")
		method = "GET"
	}
}

func matrixOfFramings(t *testing.T, ways []delivery) {
	log := &watch{Handler: slog.DiscardHandler}
	s := newStack(t, func(o *options) { o.log = slog.New(log) })
	seed := uint64(time.Now().UnixNano())
	targets, list := s.targets(), framings()

	// The oracle sees a second answer where there is one.
	for _, at := range targets[2:3] {
		if n, seen := s.smuggle(at, framed{head: host + "\r\n", body: hidden}, deliveries[0], nil); n != 2 || !seen {
			t.Fatalf("%d answers to two requests, the second seen: %t", n, seen)
		}
	}
	before, _ := log.seen()
	if before != 1 {
		t.Fatalf("the log saw %d requests for the document", before)
	}

	type job struct {
		target
		framed
		delivery
		seed uint64
	}
	jobs, results := make(chan job), make(chan int)
	var workers sync.WaitGroup
	for range 24 {
		workers.Go(func() {
			for j := range jobs {
				n, seen := s.smuggle(j.target, j.framed, j.delivery, rand.New(rand.NewPCG(j.seed, 0)))
				if n > 1 || seen {
					t.Errorf("%s → %s, %s (seed %d): %d answers, the hidden request's: %t", j.framed.name, j.target.name, j.delivery.name, j.seed, n, seen)
				}
				results <- n
			}
		})
	}
	go func() {
		for _, d := range ways {
			for _, f := range list {
				for _, at := range targets {
					seed++
					jobs <- job{at, f, d, seed}
				}
			}
		}
		close(jobs)
		workers.Wait()
		close(results)
	}()
	var answered [3]int
	for n := range results {
		answered[min(n, 2)]++
	}
	after, all := log.seen()
	t.Logf("smuggling matrix over TLS: %d cases (%d framings, %d kinds of route, %d ways to send); closed unanswered %d, answered once %d, second responses %d; hidden requests run %d; %d requests reached a route",
		answered[0]+answered[1]+answered[2], len(list), len(targets), len(ways), answered[0], answered[1], answered[2], after-before, all-1)
	if after != before || answered[2] > 0 {
		t.Error("a request was smuggled")
	}
}

// Threat 11. The short form; TestSoakSmuggling is the whole.
func TestNothingIsSmuggled(t *testing.T) { matrixOfFramings(t, deliveries[:1]) }

// TestSoakSmuggling sends the matrix in each way that bytes can come; make soak
// sets PHOTOVAULT_SOAK_ROUNDS.
func TestSoakSmuggling(t *testing.T) {
	if os.Getenv("PHOTOVAULT_SOAK_ROUNDS") == "" {
		t.Skip("a part of it is TestNothingIsSmuggled; make soak runs the whole")
	}
	matrixOfFramings(t, deliveries)
}
