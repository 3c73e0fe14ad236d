package xfer

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/fault"
)

// Sharer is a Source that can put a value where another process of its host finds it.
type Sharer interface {
	// Share gives what the other process needs to open the value, at most MaxTicket bytes. It must return when ctx ends.
	Share(ctx context.Context, ref Ref) (ticket []byte, err error)
}

// MaxTicket is the most bytes that a ticket has.
const MaxTicket = 1 << 10

// answerShare says where the value lies. A *fault.Error is for the peer, see answer.
func (n *session) answerShare(ctx context.Context, r *request) error {
	cfg := &n.server.cfg
	if err := r.capability.check(cfg.Secrets, cfg.Namespace, r.ref, time.Now()); err != nil {
		return err
	}
	sharer, ok := cfg.Source.(Sharer)
	if !ok {
		return fault.New(fault.Unsupported, "this node shares no memory: read the value")
	}
	if err := n.server.crowd.begin(n.peer); err != nil {
		return err
	}
	defer n.server.crowd.end(n.peer)
	ctx, cancel := context.WithTimeout(ctx, cfg.HeaderTimeout)
	defer cancel()
	ticket, err := sharer.Share(ctx, r.ref)
	var words *fault.Error
	switch {
	case errors.As(err, &words):
		return words
	case err != nil:
		return fault.New(fault.Unavailable, "share the value: %w", err)
	case len(ticket) > MaxTicket:
		return fault.New(fault.Internal, "a ticket of %d bytes: at most %d", len(ticket), MaxTicket)
	}
	head := response{size: len(ticket), total: int64(len(ticket)), sum: xxhash.Sum64(ticket)}
	n.out = head.append(n.out[:0])
	return n.send(n.out, ticket)
}

// Share asks the peer at addr to put the value under ref where other processes of its host find it, and gives the ticket
// with which to open it. Any error means: read the value instead. ctx bounds it, and twice the StallTimeout.
func (c *Client) Share(ctx context.Context, addr string, ref Ref, capability Capability) ([]byte, error) {
	if err := ref.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*c.cfg.StallTimeout)
	defer cancel()
	r := &request{op: opShare, ref: ref, capability: capability}
	for fresh := false; ; fresh = true {
		conn, err := c.pool.get(ctx, addr, fresh)
		if err != nil {
			return nil, err
		}
		ticket, err := conn.ask(ctx, r)
		if keeps(err) {
			c.pool.put(conn)
		} else {
			c.pool.drop(conn)
		}
		if err == nil || conn.fresh || ctx.Err() != nil || !fault.Is(err, fault.Unavailable) {
			return ticket, err
		}
	}
}

// ask sends a request and reads a short answer. The connection is cut when ctx ends.
func (c *peerConn) ask(ctx context.Context, r *request) (answer []byte, err error) {
	release := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer func() {
		if !release() {
			answer, err = nil, ctx.Err()
		}
	}()
	if until, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(until); err != nil {
			return nil, c.broken(r, 0, err)
		}
	}
	c.out = r.append(c.out[:0])
	if _, err := c.Write(c.out); err != nil {
		return nil, c.broken(r, 0, err)
	}
	if _, err := io.ReadFull(c, c.head[:]); err != nil {
		return nil, c.broken(r, 0, err)
	}
	head, err := parseResponse(c.head[:])
	switch {
	case err != nil:
		return nil, c.named(err)
	case head.status != statusOK:
		return nil, c.refused(head)
	case head.size > MaxTicket:
		return nil, fault.New(fault.Internal, "peer %s: answers with a ticket of %d bytes, at most %d are read", c.addr, head.size, MaxTicket)
	}
	answer = make([]byte, head.size)
	if _, err := io.ReadFull(c, answer); err != nil {
		return nil, c.broken(r, 0, err)
	}
	if xxhash.Sum64(answer) != head.sum {
		return nil, fault.New(fault.Internal, "peer %s: a ticket came with wrong bytes", c.addr)
	}
	return answer, nil
}
