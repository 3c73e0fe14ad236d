package passing

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
)

// chunk is how many bytes pass at a time: little against any transfer that is worth measuring, and long against a system call.
const chunk = 16 << 10

// proxy stands between all ends: what reaches it is passed on to a receiver, as fast as the way allows.
type proxy struct {
	front    net.Listener
	receiver net.Listener
	buckets  []*bucket
	group    errgroup.Group
}

func newProxy(ctx context.Context, capacity []float64) (*proxy, error) {
	p := &proxy{}
	var lc net.ListenConfig
	var err error
	if p.front, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, fault.New(fault.Unavailable, "listen for simulated transfers: %w", err)
	}
	if p.receiver, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(fault.New(fault.Unavailable, "listen for simulated transfers: %w", err), p.front.Close())
	}
	for _, c := range capacity {
		if math.IsInf(c, 1) {
			c = 0
		}
		p.buckets = append(p.buckets, &bucket{rate: c})
	}
	p.serve(p.front, p.pass)
	p.serve(p.receiver, receive)
	return p, nil
}

// serve handles each connection that a listener takes, until it is closed.
func (p *proxy) serve(l net.Listener, handle func(net.Conn) error) {
	p.group.Go(func() error {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			if err != nil {
				return fault.From(err)
			}
			p.group.Go(func() error {
				defer func() { _ = conn.Close() }()
				_ = handle(conn) // its other end has it, as a transfer that was not confirmed
				return nil
			})
		}
	})
}

// close ends the proxy and waits for its connections.
func (p *proxy) close() error {
	err := errors.Join(p.front.Close(), p.receiver.Close())
	return errors.Join(err, p.group.Wait())
}

// The head of a transfer: the number of bytes, and how many resources it passes through, then these.
const headLen = 16

// transfer sends bytes through resources, and waits until they are confirmed to have arrived whole.
func (p *proxy) transfer(ctx context.Context, bytes int64, latency float64, through []int) error {
	if err := until(ctx, time.Now().Add(time.Duration(latency*1e9))); err != nil || bytes == 0 {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.front.Addr().String())
	if err != nil {
		return fault.New(fault.Unavailable, "connect a simulated transfer: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	head := binary.BigEndian.AppendUint64(nil, uint64(bytes))
	head = binary.BigEndian.AppendUint64(head, uint64(len(through)))
	for _, r := range through {
		head = binary.BigEndian.AppendUint64(head, uint64(r))
	}
	if _, err = conn.Write(head); err == nil {
		sum := xxhash.New()
		buf := make([]byte, chunk)
		for i := range buf {
			buf[i] = byte(uint64(bytes)>>(i%8)) ^ byte(i*31)
		}
		for left := bytes; left > 0 && err == nil; left -= chunk {
			part := buf[:min(left, chunk)]
			binary.BigEndian.PutUint64(buf, uint64(left)) // no two chunks alike; the last may be shorter than this
			_, _ = sum.Write(part)
			_, err = conn.Write(part)
		}
		answer := make([]byte, 8)
		if err == nil {
			_, err = io.ReadFull(conn, answer)
		}
		if err == nil && binary.BigEndian.Uint64(answer) != sum.Sum64() {
			return fault.New(fault.Internal, "%d bytes arrived other than they were sent", bytes)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault.New(fault.Unavailable, "simulated transfer of %d bytes: %w", bytes, err)
	}
	return nil
}

// pass lets a connection's bytes through to the receiver, and its answer back.
func (p *proxy) pass(from net.Conn) error {
	head := make([]byte, headLen)
	if _, err := io.ReadFull(from, head); err != nil {
		return err
	}
	bytes, n := int64(binary.BigEndian.Uint64(head)), int(binary.BigEndian.Uint64(head[8:]))
	list := make([]byte, 8*n)
	if _, err := io.ReadFull(from, list); err != nil {
		return err
	}
	var through []*bucket
	for i := range n {
		through = append(through, p.buckets[binary.BigEndian.Uint64(list[8*i:])])
	}
	var d net.Dialer
	to, err := d.DialContext(context.Background(), "tcp", p.receiver.Addr().String())
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	if _, err := to.Write(head[:8]); err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for left := bytes; left > 0; {
		part := buf[:min(left, chunk)]
		if _, err := io.ReadFull(from, part); err != nil {
			return err
		}
		now := time.Now()
		at := now
		for _, b := range through {
			if t := b.take(now, len(part)); t.After(at) {
				at = t
			}
		}
		// Timers are late by some 0.1 ms: what is due sooner goes at once, and makes up for it.
		if time.Until(at) > 200*time.Microsecond || left <= chunk {
			if err := until(context.Background(), at); err != nil {
				return err
			}
		}
		if _, err := to.Write(part); err != nil {
			return err
		}
		left -= int64(len(part))
	}
	_, err = io.Copy(from, to)
	return err
}

// receive reads a transfer and answers with its hash.
func receive(conn net.Conn) error {
	head := make([]byte, 8)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	sum := xxhash.New()
	if _, err := io.CopyN(sum, conn, int64(binary.BigEndian.Uint64(head))); err != nil {
		return err
	}
	_, err := conn.Write(binary.BigEndian.AppendUint64(nil, sum.Sum64()))
	return err
}
