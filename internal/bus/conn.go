package bus

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/squall-faas/squall/fault"
)

// conn is one connection of a node to a Network.
type conn struct {
	net    *Network
	node   string
	number int    // order of joining
	inbox  string // prefix of its reply subjects, with the last dot
	pick   *picker
	done   chan struct{} // closed with closed

	// handlers counts running handlers and reconnect callbacks. It grows only while closed is false.
	handlers sync.WaitGroup

	// Guarded by net.mu.

	closed    bool
	detached  bool // the server knows that the node is gone
	cutOff    bool // isolated or disconnected: its reconnect callbacks are due when it is healed
	subs      map[*subscription]struct{}
	buffer    []Msg // published while detached
	buffered  int   // bytes in buffer
	reconnect []func()

	requests atomic.Uint64 // numbers the requests

	mu      sync.Mutex // guards pending
	pending map[uint64]chan Msg
}

func (c *conn) check(m Msg) error {
	if err := CheckSubject(m.Subject); err != nil {
		return err
	}
	if m.Reply != "" {
		if err := CheckSubject(m.Reply); err != nil {
			return err
		}
	}
	if len(m.Data) > c.net.opts.MaxPayload {
		return ErrTooLarge
	}
	return nil
}

// Publish implements Bus.
func (c *conn) Publish(m Msg) error {
	if err := c.check(m); err != nil {
		if c.ended() {
			return ErrClosed
		}
		return err
	}
	m.NoResponders = false
	return c.net.publish(c, m)
}

func (c *conn) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Request implements Bus. All requests of a connection share one wildcard subscription.
func (c *conn) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id := c.requests.Add(1)
	answer := make(chan Msg, 1)
	c.mu.Lock()
	c.pending[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.pending, id)
	}()
	if err := c.Publish(Msg{Subject: subject, Reply: c.inbox + strconv.FormatUint(id, 36), Data: data}); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		if m.NoResponders {
			return nil, ErrNoResponders
		}
		return m.Data, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, ErrClosed
	}
}

// answer hands a reply to the request that waits for it; a second or late one has nobody to go to.
func (c *conn) answer(m Msg) {
	id, err := strconv.ParseUint(m.Subject[len(c.inbox):], 36, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch, ok := c.pending[id]; ok {
		delete(c.pending, id)
		ch <- m
	}
}

// Subscribe implements Bus.
func (c *conn) Subscribe(subject, queue string, h Handler) (Subscription, error) {
	if err := CheckPattern(subject); err != nil {
		return nil, err
	}
	if err := CheckQueue(queue); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, fault.New(fault.InvalidArgument, "subscription to %s has no handler", subject)
	}
	s := &subscription{conn: c, pattern: subject, queue: queue, handle: h}
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	c.subs[s] = struct{}{}
	c.net.subs.add(s)
	return s, nil
}

// forget takes s off the network.
func (c *conn) forget(s *subscription) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if _, ok := c.subs[s]; ok {
		delete(c.subs, s)
		c.net.subs.remove(s)
	}
}

// MaxPayload implements Bus.
func (c *conn) MaxPayload() int { return c.net.opts.MaxPayload }

// OnReconnect implements Bus.
func (c *conn) OnReconnect(f func()) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.reconnect = append(c.reconnect, f)
}

// Close implements Bus.
func (c *conn) Close() error {
	c.net.mu.Lock()
	c.net.endLocked(c)
	c.net.mu.Unlock()
	c.handlers.Wait()
	return nil
}
