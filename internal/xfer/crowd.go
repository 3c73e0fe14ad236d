package xfer

import (
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
)

const (
	atTheDoor  = 16 // connections that are being refused in words at a time
	retryAfter = 100 * time.Millisecond
)

// crowd counts who is being served. Safe for concurrent use.
type crowd struct {
	maxConns, maxPerPeer, maxStreams int

	mu             sync.Mutex // guards what follows
	conns, streams int
	door           int
	peers          map[string]*visitor
}

// visitor is one host that has connections.
type visitor struct{ conns, streams int }

func newCrowd(maxConns, maxPerPeer, maxStreams int) *crowd {
	return &crowd{maxConns: maxConns, maxPerPeer: maxPerPeer, maxStreams: maxStreams, peers: map[string]*visitor{}}
}

func overloaded(format string, args ...any) error {
	e := fault.New(fault.Overloaded, format, args...)
	e.RetryAfter = retryAfter
	return e
}

// enter counts a connection in, or says why not.
func (c *crowd) enter(peer string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns >= c.maxConns {
		return overloaded("all %d connections of this data port are taken: try again, or another peer", c.maxConns)
	}
	v := c.peers[peer]
	if v == nil {
		v = &visitor{}
		c.peers[peer] = v
	}
	if v.conns >= c.maxPerPeer {
		return overloaded("%s has %d connections to this data port, the most that one host may have: use those", peer, v.conns)
	}
	v.conns++
	c.conns++
	return nil
}

func (c *crowd) leave(peer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns--
	v := c.peers[peer]
	if v.conns--; v.conns == 0 {
		delete(c.peers, peer)
	}
}

// enterDoor counts a connection that is to be refused in words; false where there are too many of those.
func (c *crowd) enterDoor() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.door >= atTheDoor {
		return false
	}
	c.door++
	return true
}

func (c *crowd) leaveDoor() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.door--
}

// begin counts a range in, of a peer that has a connection, or says why not.
func (c *crowd) begin(peer string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.peers[peer]
	if v.streams >= c.maxStreams {
		return overloaded("%d ranges are on the way to %s, the most that one host may have: ask again when one has come", v.streams, peer)
	}
	v.streams++
	c.streams++
	return nil
}

func (c *crowd) end(peer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers[peer].streams--
	c.streams--
}

func (c *crowd) count() (conns, streams int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns, c.streams
}
