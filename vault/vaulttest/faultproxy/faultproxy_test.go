package faultproxy_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"photovault/vault/vaulttest/faultproxy"
)

func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

func says(t *testing.T, c net.Conn, text string) error {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	_, err := io.ReadFull(c, got)
	if err == nil && string(got) != text {
		t.Fatalf("%q came back as %q", text, got)
	}
	return err
}

func TestFaults(t *testing.T) {
	p := faultproxy.New(t, echo(t))
	c := dial(t, p)
	if err := says(t, c, "hello"); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := says(t, c, "hello"); err == nil {
		t.Error("a cut connection answers")
	}
	p.CutAfter(10)
	c = dial(t, p)
	if err := says(t, c, "eight..."); err != nil {
		t.Error(err)
	}
	if err := says(t, c, strings.Repeat("x", 8)); err == nil {
		t.Error("the connection outlives its tenth byte")
	}
	p.CutAfter(-1)
	p.Refuse(true)
	// The reset may come before connect(2) has returned.
	if c, err := net.Dial("tcp", p.Addr); err == nil {
		if err := says(t, c, "hello"); err == nil {
			t.Error("a refused connection answers")
		}
		_ = c.Close()
	}
	p.Refuse(false)
	p.Stall(true)
	c = dial(t, p)
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := says(t, c, "hello"); err == nil {
		t.Error("a stalled connection answers")
	}
	p.Stall(false)
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("what was sent during the stall is lost: %v", err)
	}
}

// What all connections send together counts, and nothing but that ends the flow.
func TestTheFlowEndsAfterSoManyBytes(t *testing.T) {
	p := faultproxy.New(t, echo(t))
	stalled := p.StallAfter(10)
	if err := says(t, dial(t, p), "five."); err != nil {
		t.Fatal(err)
	}
	c := dial(t, p)
	if err := says(t, c, "ten.."); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stalled:
		t.Error("it stalled a byte too early")
	default:
	}
	if _, err := io.WriteString(c, "more"); err != nil {
		t.Fatal(err)
	}
	<-stalled
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 4)); err == nil {
		t.Errorf("%d bytes went through", n)
	}
	p.Stall(false)
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Errorf("what was sent during the stall is lost: %v", err)
	}
}
