package xfer

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// pipes is a network in memory, for tests in virtual time: a listener, and a dialer to it.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	dials  atomic.Int32
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

func (p *pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.dials.Add(1)
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// trouble is what a connection does to what comes over it.
type trouble int

const (
	cut   trouble = iota // breaks off
	stall                // sends nothing more
	flip                 // one bit is wrong
)

// troubled hands out connections to addr that get into trouble after so many bytes each; those to others are sound.
func troubled(addr string, kind trouble, after int64) func(context.Context, string, string) (net.Conn, error) {
	var d net.Dialer
	return func(ctx context.Context, network, to string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, to)
		if err != nil || to != addr {
			return c, err
		}
		return &troubledConn{Conn: c, kind: kind, left: after, closed: make(chan struct{})}, nil
	}
}

type troubledConn struct {
	net.Conn
	kind   trouble
	left   int64
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex // guards due
	due time.Time
}

func (c *troubledConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		switch c.kind {
		case cut:
			return 0, syscall.ECONNRESET
		case stall:
			c.mu.Lock()
			due := time.NewTimer(time.Until(c.due))
			c.mu.Unlock()
			defer due.Stop()
			select {
			case <-due.C:
				return 0, os.ErrDeadlineExceeded
			case <-c.closed:
				return 0, net.ErrClosed
			}
		}
	}
	if c.left > 0 {
		b = b[:min(int64(len(b)), c.left)]
	}
	n, err := c.Conn.Read(b)
	if n > 0 && c.left <= 0 && c.kind == flip {
		b[n/2] ^= 4
		c.left = 1 << 62 // once
	}
	c.left -= int64(n)
	return n, err
}

func (c *troubledConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *troubledConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.due = t
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

func (c *troubledConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
