package natsconn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// dialer opens the sockets of one connection: the first one and those of every reconnect. The client has no context
// of its own, so until established the dialer keeps what it opened and cut ends it.
type dialer struct {
	timeout time.Duration
	ctx     func() context.Context // of a dial; ends with cut
	stop    context.CancelFunc

	mu    sync.Mutex // guards what follows
	first bool       // not yet established
	open  []net.Conn // while first
}

func newDialer(timeout time.Duration) *dialer {
	ctx, cancel := context.WithCancel(context.Background())
	return &dialer{timeout: timeout, ctx: func() context.Context { return ctx }, stop: cancel, first: true}
}

// cut ends the dial under way and the sockets that are open, unless the connection is established.
func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.first {
		return
	}
	d.stop()
	for _, c := range d.open {
		_ = c.Close() // a socket that is given up: nobody can use the error
	}
}

// established leaves the sockets to the client.
func (d *dialer) established() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.first, d.open = false, nil
}

// keep notes c while the connection is not established.
func (d *dialer) keep(c net.Conn) net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.first {
		d.open = append(d.open, c)
		if d.ctx().Err() != nil {
			_ = c.Close()
		}
	}
	return c
}

// Dial implements nats.CustomDialer. It tries the addresses of the host in random order, as the client itself would.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx(), d.timeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look up: %w", err)
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	nd := net.Dialer{Timeout: d.timeout / time.Duration(len(addrs))}
	for _, a := range addrs {
		var c net.Conn
		if c, err = nd.DialContext(ctx, network, net.JoinHostPort(a, port)); err == nil {
			return d.keep(c), nil
		}
	}
	return nil, err
}

// over makes p's connections obey cut like sockets.
func (d *dialer) over(p InProcess) InProcess { return keeping{p, d} }

type keeping struct {
	p InProcess
	d *dialer
}

func (k keeping) InProcessConn() (net.Conn, error) {
	c, err := k.p.InProcessConn()
	if err != nil {
		return nil, err
	}
	return k.d.keep(c), nil
}
