package xfer

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
)

// counted connections: how many are open, and were at most.
type counted struct{ open, most, dials atomic.Int32 }

type countedConn struct {
	net.Conn
	of   *counted
	shut atomic.Bool
}

func (c *countedConn) Close() error {
	if c.shut.CompareAndSwap(false, true) {
		c.of.open.Add(-1)
	}
	return nil
}

func (c *counted) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	c.dials.Add(1)
	if addr == "gone" {
		return nil, io.ErrClosedPipe
	}
	n := c.open.Add(1)
	c.most.Store(max(c.most.Load(), n))
	return &countedConn{of: c}, nil
}

func testPool(c *counted) *pool {
	return &pool{most: 6, perPeer: 3, keep: time.Minute, dial: c.dial, timeout: time.Second, peers: map[string]int{}}
}

// TestPoolBounds: many takers of several peers never have more connections than they may, and all come through.
func TestPoolBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counted
		p := testPool(&c)
		results := make(chan error)
		for taker := range 50 {
			r := rand.New(rand.NewPCG(1, uint64(taker)))
			go func() {
				for range 50 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+r.IntN(50))*time.Second)
					conn, err := p.get(ctx, []string{"a", "b", "c", "gone"}[r.IntN(4)], r.IntN(4) == 0)
					if err == nil {
						time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond) // virtual: it is in use
						if r.IntN(2) == 0 {
							p.put(conn)
						} else {
							p.drop(conn)
						}
					} else if !fault.Is(err, fault.Unreachable) && !errors.Is(err, context.DeadlineExceeded) {
						cancel()
						results <- err
						return
					}
					cancel()
					p.mu.Lock()
					if len(p.idle)+p.inUse > p.most || p.peers["a"] > p.perPeer {
						t.Errorf("%d idle, %d in use, %d of a", len(p.idle), p.inUse, p.peers["a"])
					}
					p.mu.Unlock()
				}
				results <- nil
			}()
		}
		for range 50 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if p.inUse != 0 || len(p.peers) != 0 || len(p.waiting) != 0 {
			t.Errorf("all have gone, and %d are in use, %v by peer, %d wait", p.inUse, p.peers, len(p.waiting))
		}
		if most := c.most.Load(); most > 6 {
			t.Errorf("%d connections at once", most)
		}
		time.Sleep(time.Minute + time.Second) // virtual
		if n := c.open.Load(); n != 0 {
			t.Errorf("%d connections stay open though unused", n)
		}
		p.close()
	})
}

func TestPoolReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counted
		p := testPool(&c)
		take := func(addr string, fresh bool) *peerConn {
			conn, err := p.get(t.Context(), addr, fresh)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		a := take("a", false)
		p.put(a)
		if got := take("a", false); got != a || got.fresh {
			t.Error("an idle connection is not used again")
		}
		if b := take("a", true); b == a || !b.fresh {
			t.Error("asked for a fresh connection")
		} else {
			p.put(b)
		}
		p.put(a)
		time.Sleep(p.keep + time.Second) // virtual
		if got := take("a", false); !got.fresh {
			t.Error("a connection that was idle for too long")
		}
		p.close()
		if _, err := p.get(t.Context(), "a", false); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
	})
}
