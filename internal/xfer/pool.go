package xfer

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
)

// pool keeps connections to peers: in use, at most so many and so many a peer, and idle ones for a while. Together they
// are never more than most. Who finds none free waits in line. Safe for concurrent use.
type pool struct {
	most, perPeer int
	keep          time.Duration // an idle connection is closed after it
	dial          func(ctx context.Context, network, addr string) (net.Conn, error)
	timeout       time.Duration // of a dial

	mu      sync.Mutex // guards what follows
	inUse   int
	peers   map[string]int // in use, by address
	idle    []*peerConn    // the longest idle one first
	waiting []*waiter
	sweeper *time.Timer // nil while nothing is idle
	closed  bool
}

// peerConn is a connection to a server. Whoever took it from the pool has it alone.
type peerConn struct {
	net.Conn
	addr  string
	fresh bool // dialled just now, and never used
	took  time.Duration
	idle  time.Time
	out   []byte // of a request; used again for each
	head  [responseHead]byte
}

type waiter struct {
	addr  string
	ready chan struct{} // closed once its place is counted in
}

func errClosed() error {
	return fault.New(fault.Unavailable, "the client of the data ports is closed: this node is shutting down")
}

// get gives a connection to addr, dialling where none is idle, or always with fresh. It waits for a place until ctx
// ends. put or drop must follow.
func (p *pool) get(ctx context.Context, addr string, fresh bool) (*peerConn, error) {
	if err := p.place(ctx, addr); err != nil {
		return nil, err
	}
	var surplus []*peerConn
	p.mu.Lock()
	if !fresh {
		for i := len(p.idle) - 1; i >= 0; i-- { // the latest: the likeliest to be alive
			if c := p.idle[i]; c.addr == addr {
				p.idle = slices.Delete(p.idle, i, i+1)
				p.mu.Unlock()
				c.fresh = false
				return c, nil
			}
		}
	}
	if over := len(p.idle) + p.inUse - p.most; over > 0 {
		surplus = slices.Clone(p.idle[:over])
		p.idle = slices.Delete(p.idle, 0, over)
	}
	p.mu.Unlock()
	for _, c := range surplus {
		_ = c.Close() // idle: nothing is lost
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	began := time.Now()
	conn, err := p.dial(ctx, "tcp", addr)
	if err != nil {
		p.leave(addr)
		return nil, fault.New(fault.Unreachable, "peer %s: %w", addr, err)
	}
	return &peerConn{Conn: conn, addr: addr, fresh: true, took: time.Since(began)}, nil
}

// place counts a connection in, when there is room for it.
func (p *pool) place(ctx context.Context, addr string) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return errClosed()
	}
	if p.roomLocked(addr) {
		p.takeLocked(addr)
		p.mu.Unlock()
		return nil
	}
	w := &waiter{addr: addr, ready: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.waiting, w)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // its turn came just now
		p.leave(addr)
	}
	return ctx.Err()
}

func (p *pool) roomLocked(addr string) bool { return p.inUse < p.most && p.peers[addr] < p.perPeer }

func (p *pool) takeLocked(addr string) {
	p.inUse++
	p.peers[addr]++
}

// leave gives a place back, and lets in who waits for one.
func (p *pool) leave(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(addr)
}

func (p *pool) leaveLocked(addr string) {
	p.inUse--
	if p.peers[addr]--; p.peers[addr] == 0 {
		delete(p.peers, addr)
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter) bool {
		if !p.roomLocked(w.addr) {
			return false
		}
		p.takeLocked(w.addr)
		close(w.ready)
		return true
	})
}

// put gives back a connection that stands between two requests.
func (p *pool) put(c *peerConn) {
	c.idle = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(c.addr)
	if p.closed || len(p.idle)+p.inUse >= p.most {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(p.keep, p.sweep)
	}
}

// drop closes a connection that nobody can use any more.
func (p *pool) drop(c *peerConn) {
	_ = c.Close() // it is broken already, or cut on purpose
	p.leave(c.addr)
}

// sweep closes what was idle for too long: before the server does, so that few requests meet a closed connection.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for ; old < len(p.idle) && time.Since(p.idle[old].idle) >= p.keep; old++ {
		_ = p.idle[old].Close()
	}
	p.idle = slices.Delete(p.idle, 0, old)
	p.sweeper = nil
	if len(p.idle) > 0 {
		p.sweeper = time.AfterFunc(p.keep-time.Since(p.idle[0].idle), p.sweep)
	}
}

// close ends idle connections; those in use are closed when they come back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
}
