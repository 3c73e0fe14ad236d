// Package resp speaks RESP2, the protocol of Redis, as far as benchmarks need it: strings, integers, flat arrays, one
// command after the other or many at once.
package resp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/squall-faas/squall/fault"
)

const (
	maxString = 1 << 30 // bytes of one answer
	maxArray  = 1 << 20 // elements
	bufBytes  = 64 << 10
)

// ErrProtocol is for an answer that makes no sense; the connection is of no use afterwards.
var ErrProtocol = errors.New("the answer of the Redis server makes no sense")

// Refusal is an error that the server answered a command with; the connection goes on.
type Refusal string

// Error gives the server's words.
func (r Refusal) Error() string { return "redis-server refuses: " + string(r) }

// Conn is one connection. Not safe for concurrent use, but for Close.
type Conn struct {
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	timeout time.Duration
	buf     []byte // of the strings that Receive gives
}

// Dial connects to host:port and asks whether somebody answers; unreachable where nobody does. Each exchange may take the
// timeout.
func Dial(ctx context.Context, address string, timeout time.Duration) (*Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fault.New(fault.Unreachable, "redis at %s: %w: start one there, or name its address", address, err)
	}
	c := &Conn{conn: conn, in: bufio.NewReaderSize(conn, bufBytes), timeout: timeout}
	if _, err := c.Do([]byte("PING")); err != nil {
		return nil, fault.New(fault.Unreachable, "redis at %s: %w", address, errors.Join(err, conn.Close()))
	}
	return c, nil
}

// Close ends the connection, and what waits for it.
func (c *Conn) Close() error { return c.conn.Close() }

// Do sends a command and gives the answer, a string or a number's digits; nil where there is none. It is the caller's.
func (c *Conn) Do(words ...[]byte) ([]byte, error) {
	c.Reset()
	c.Send(words...)
	if err := c.Flush(); err != nil {
		return nil, err
	}
	b, err := c.Receive()
	if err != nil || b == nil {
		return nil, err
	}
	return append([]byte{}, b...), nil
}

// Send keeps a command until Flush. The answers come in the order of the commands, and each has to be received.
func (c *Conn) Send(words ...[]byte) {
	c.out = append(strconv.AppendInt(append(c.out, '*'), int64(len(words)), 10), "\r\n"...)
	for _, w := range words {
		c.out = append(strconv.AppendInt(append(c.out, '$'), int64(len(w)), 10), "\r\n"...)
		c.out = append(append(c.out, w...), "\r\n"...)
	}
}

// Flush sends what was kept, and begins the time that the answers may take.
func (c *Conn) Flush() error {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return c.lost(err)
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return c.lost(err)
}

func (c *Conn) lost(err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Unreachable, "redis: %w", err)
}

// Receive gives the next answer, a string or a number's digits, nil where there is none. It is valid until Reset.
func (c *Conn) Receive() ([]byte, error) {
	kind, line, err := c.line()
	if err != nil {
		return nil, err
	}
	switch kind {
	case '+', ':':
		return c.keep(line), nil
	case '-':
		return nil, Refusal(line)
	case '$':
		return c.bulk(line)
	}
	return nil, c.lost(ErrProtocol)
}

// ReceiveArray hands each element of the next answer, an array of strings, to f, nil where there is none.
func (c *Conn) ReceiveArray(f func([]byte)) error {
	kind, line, err := c.line()
	if err != nil {
		return err
	}
	if kind == '-' {
		return Refusal(line)
	}
	n, err := strconv.Atoi(string(line))
	if kind != '*' || err != nil || n > maxArray {
		return c.lost(ErrProtocol)
	}
	for range n {
		b, err := c.Receive()
		if err != nil {
			return err
		}
		f(b)
	}
	return nil
}

// line reads one; it is valid until the next read.
func (c *Conn) line() (kind byte, rest []byte, err error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case err != nil:
		return 0, nil, c.lost(err)
	case len(line) < 3 || line[len(line)-2] != '\r':
		return 0, nil, c.lost(ErrProtocol)
	}
	return line[0], line[1 : len(line)-2], nil
}

func (c *Conn) bulk(length []byte) ([]byte, error) {
	n, err := strconv.Atoi(string(length))
	if err != nil || n > maxString {
		return nil, c.lost(fmt.Errorf("%w: a string of %.20q bytes", ErrProtocol, length))
	}
	if n < 0 {
		return nil, nil
	}
	b := c.room(n + 2)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, c.lost(err)
	}
	return b[:n:n], nil
}

func (c *Conn) keep(b []byte) []byte { return append(c.room(len(b))[:0], b...) }

// Reset gives the room up that answers were kept in.
func (c *Conn) Reset() { c.buf = c.buf[:0] }

// room gives so many bytes that stay as they are until Reset.
func (c *Conn) room(n int) []byte {
	if len(c.buf)+n > cap(c.buf) { // what was given before keeps the old array
		c.buf = make([]byte, 0, max(2*cap(c.buf), n, 4096))
	}
	at := len(c.buf)
	c.buf = c.buf[:at+n]
	return c.buf[at : at+n : at+n]
}
