package resp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
)

// answers listens and gives what it has to say to each connection at once, after the answer to PING.
func answers(t *testing.T, text string) *Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for range 3 { // *1, $4, PING
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
		}
		io.WriteString(c, "+PONG\r\n"+text)
		io.Copy(io.Discard, r)
	}()
	c, err := Dial(t.Context(), l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); l.Close(); <-done })
	return c
}

func TestAnswers(t *testing.T) {
	c := answers(t, "$3\r\na\r\n\r\n$-1\r\n:42\r\n-ERR no\r\n$0\r\n\r\n*2\r\n$1\r\nx\r\n$-1\r\n+OK\r\n")
	for range 7 {
		c.Send([]byte("X"), []byte("y"))
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 5 {
		b, err := c.Receive()
		switch {
		case err != nil && !errors.As(err, new(Refusal)):
			t.Fatal(err)
		case err != nil:
			got = append(got, err.Error())
		case b == nil:
			got = append(got, "nil")
		default:
			got = append(got, string(b))
		}
	}
	if err := c.ReceiveArray(func(b []byte) { got = append(got, string(b)) }); err != nil {
		t.Fatal(err)
	}
	if b, err := c.Receive(); err != nil || string(b) != "OK" {
		t.Fatalf("%q, %v", b, err)
	}
	if want := "a\r\n|nil|42|redis-server refuses: ERR no||x|"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", strings.Join(got, "|"), want)
	}
}

func TestNonsense(t *testing.T) {
	for _, text := range []string{"\r\n", "x\r\n", "?\r\n", "$x\r\n", "$99999999999\r\n", "abc\n", "$5\r\nab"} {
		c := answers(t, text)
		c.timeout = 50 * time.Millisecond
		if _, err := c.Do([]byte("GET")); !fault.Is(err, fault.Unreachable) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Dial(t.Context(), l.Addr().String(), time.Second); !fault.Is(err, fault.Unreachable) {
		t.Error(err)
	}
}
