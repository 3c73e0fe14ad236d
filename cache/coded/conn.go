package coded

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/xfer"
)

// conns are a client's connections to lenders: those that are idle are kept for the next request. Safe for concurrent use.
type conns struct {
	namespace string
	secret    xfer.Secret
	dial      func(ctx context.Context, network, addr string) (net.Conn, error)
	stall     time.Duration // a lender may take so long for a chunk, and to begin
	keep      time.Duration // an idle connection
	perPeer   int           // idle ones

	mu     sync.Mutex // guards what follows
	idle   map[string][]*conn
	closed bool
}

// conn is a connection to a lender. Whoever took it from conns has it alone.
type conn struct {
	net.Conn
	addr  string
	fresh bool // never used
	since time.Time
	out   []byte
	vec   net.Buffers
	head  [responseLen]byte
}

func (cs *conns) get(ctx context.Context, addr string, fresh bool) (*conn, error) {
	cs.mu.Lock()
	if cs.closed {
		cs.mu.Unlock()
		return nil, fault.New(fault.Unavailable, "the coded tier is closed: this node is shutting down")
	}
	var stale []*conn
	var found *conn
	for idle := cs.idle[addr]; len(idle) > 0 && !fresh && found == nil; idle = cs.idle[addr] {
		c := idle[len(idle)-1] // the latest: the likeliest to be alive
		cs.idle[addr] = idle[:len(idle)-1]
		if time.Since(c.since) > cs.keep {
			stale = append(stale, c)
			continue
		}
		found = c
	}
	cs.mu.Unlock()
	for _, c := range stale {
		_ = c.Close() // idle: nothing is lost
	}
	if found != nil {
		found.fresh = false
		return found, nil
	}
	dialing, cancel := context.WithTimeout(ctx, cs.stall)
	defer cancel()
	raw, err := cs.dial(dialing, "tcp", addr)
	if err != nil {
		return nil, fault.New(fault.Unreachable, "lender at %s: %w", addr, err)
	}
	c := &conn{Conn: raw, addr: addr, fresh: true}
	if err := cs.greet(ctx, c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// greet reads the lender's hello; the proof goes with the first request.
func (cs *conns) greet(ctx context.Context, c *conn) error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var hello [helloLen]byte
	if err := c.SetReadDeadline(time.Now().Add(cs.stall)); err != nil {
		return c.broken(err)
	}
	if ctx.Err() != nil {
		return fault.From(ctx.Err())
	}
	if _, err := io.ReadFull(c, hello[:]); err != nil {
		return c.broken(err)
	}
	if hello[0] != protocol {
		return fault.New(fault.Unsupported, "lender at %s speaks version %d of the protocol, this node version %d: bring both to the same release", c.addr, hello[0], protocol)
	}
	c.out = append(c.out[:0], proof(cs.secret, hello[8:], cs.namespace)...)
	return nil
}

func (cs *conns) put(c *conn) {
	c.since = time.Now()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed || len(cs.idle[c.addr]) >= cs.perPeer {
		_ = c.Close()
		return
	}
	if cs.idle == nil {
		cs.idle = map[string][]*conn{}
	}
	cs.idle[c.addr] = append(cs.idle[c.addr], c)
}

// forget closes what is idle to an address whose lender is gone.
func (cs *conns) forget(addr string) {
	cs.mu.Lock()
	idle := cs.idle[addr]
	delete(cs.idle, addr)
	cs.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

func (cs *conns) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
	for _, idle := range cs.idle {
		for _, c := range idle {
			_ = c.Close()
		}
	}
	cs.idle = nil
}

// do makes one request at addr. body is called with the response's head where the lender consents, to read what follows.
func (cs *conns) do(ctx context.Context, addr string, r *request, payload []byte, body func(*conn, response) error) error {
	for fresh := false; ; fresh = true {
		c, err := cs.get(ctx, addr, fresh)
		if err != nil {
			return err
		}
		answered, kept, err := c.do(ctx, cs.stall, r, payload, body)
		if kept {
			cs.put(c)
		} else {
			_ = c.Close()
		}
		// A kept connection that the lender has closed meanwhile says nothing of the lender.
		if err == nil || answered || c.fresh || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			if err != nil && ctx.Err() != nil {
				return fault.From(context.Cause(ctx))
			}
			return err
		}
	}
}

func (c *conn) do(ctx context.Context, stall time.Duration, r *request, payload []byte, body func(*conn, response) error) (answered, kept bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer func() { kept = stop() && kept }() // else its deadline may have passed any time now
	c.out = r.append(c.out)
	c.vec = append(c.vec[:0], c.out)
	if len(payload) > 0 {
		c.vec = append(c.vec, payload)
	}
	if err := c.deadline(ctx, stall); err != nil {
		return false, false, c.broken(err)
	}
	vec := c.vec // WriteTo eats what it is called on
	_, err = vec.WriteTo(c.Conn)
	clear(c.vec)
	c.out = c.out[:0]
	if err != nil {
		return false, false, c.broken(err)
	}
	if _, err := io.ReadFull(c, c.head[:]); err != nil {
		return false, false, c.broken(err)
	}
	head, err := parseResponse(c.head[:])
	if err != nil {
		return true, false, fault.New(fault.CodeOf(err), "lender at %s: %w", c.addr, err)
	}
	if head.status != 0 {
		err := c.refused(head)
		return true, fault.CodeOf(err) != fault.Unavailable, err
	}
	if body != nil {
		err = body(c, head)
	} else if head.size != 0 {
		err = fault.New(fault.Unavailable, "lender at %s: says %d bytes where nothing was asked", c.addr, head.size)
	}
	return true, err == nil, err
}

// deadline of the next chunk, unless ctx has ended, which set one that has passed.
func (c *conn) deadline(ctx context.Context, stall time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	return ctx.Err() // looked at after: a cancellation in between has been overwritten
}

func (c *conn) refused(head response) error {
	words := make([]byte, head.size)
	if _, err := io.ReadFull(c, words); err != nil || xxhash.Sum64(words) != head.sum {
		return fault.New(fault.Unavailable, "lender at %s: refuses, and its words did not come whole", c.addr)
	}
	code := fault.Unavailable
	if int(head.status) < len(statuses) {
		code = statuses[head.status]
	}
	e := fault.New(code, "lender at %s: %s", c.addr, words)
	e.RetryAfter = head.retryAfter
	return e
}

func (c *conn) broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.Unavailable, "lender at %s: stalled: %w", c.addr, err)
	}
	return fault.New(fault.Unavailable, "lender at %s: broke off: %w", c.addr, err)
}

// getShard reads a shard into dst, which is as long as it.
func (cs *conns) getShard(ctx context.Context, addr string, id lend.ID, stripe uint32, dst []byte) error {
	return cs.do(ctx, addr, &request{op: opGet, id: id, stripe: stripe}, nil, func(c *conn, head response) error {
		if head.size != len(dst) {
			return fault.New(fault.Unavailable, "lender at %s: gives %d bytes for a shard of %d", c.addr, head.size, len(dst))
		}
		got := newSum(id, stripe)
		for at := 0; at < len(dst); {
			if err := c.deadline(ctx, cs.stall); err != nil {
				return c.broken(err)
			}
			n, err := io.ReadFull(c, dst[at:min(at+chunk, len(dst))])
			_, _ = got.Write(dst[at : at+n]) // never fails
			at += n
			if err != nil {
				return c.broken(err)
			}
		}
		if got.Sum64() != head.sum {
			return fault.New(fault.Unavailable, "lender at %s: a shard came with wrong bytes", c.addr)
		}
		return nil
	})
}

// putShard sends a shard. Nothing reads it any more once it has returned.
func (cs *conns) putShard(ctx context.Context, addr string, meta lend.Meta, stripe uint32, shard []byte, sum uint64) error {
	return cs.do(ctx, addr, &request{op: opPut, id: meta.ID, stripe: stripe, size: len(shard), key: meta.Key, sum: sum, expires: meta.Expires}, shard, nil)
}

// seal says that a version's write is complete.
func (cs *conns) seal(ctx context.Context, addr string, v lend.Version) error {
	return cs.do(ctx, addr, &request{op: opSeal, id: lend.ID{Version: v}}, nil, nil)
}

// retire says that another version is current.
func (cs *conns) retire(ctx context.Context, addr string, v lend.Version) error {
	return cs.do(ctx, addr, &request{op: opRetire, id: lend.ID{Version: v}}, nil, nil)
}

// drop removes a version, or one column of it where column is not negative.
func (cs *conns) drop(ctx context.Context, addr string, v lend.Version, column int) error {
	id := lend.ID{Version: v, Column: everyColumn}
	if column >= 0 {
		id.Column = uint16(column)
	}
	return cs.do(ctx, addr, &request{op: opDrop, id: id}, nil, nil)
}

// held lists what a lender has of a version; of all where v is zero.
func (cs *conns) held(ctx context.Context, addr string, v lend.Version) (out []lend.Held, err error) {
	err = cs.do(ctx, addr, &request{op: opHeld, id: lend.ID{Version: v}}, nil, func(c *conn, head response) error {
		b := make([]byte, head.size)
		if err := c.deadline(ctx, cs.stall); err != nil {
			return c.broken(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return c.broken(err)
		}
		if xxhash.Sum64(b) != head.sum {
			return fault.New(fault.Unavailable, "lender at %s: its list came with wrong bytes", c.addr)
		}
		if err := cbor.Unmarshal(b, &out); err != nil {
			return fault.New(fault.Unsupported, "lender at %s: its list does not decode: %w", c.addr, err)
		}
		return nil
	})
	return out, err
}
