// Package natsbus is bus.Bus over a NATS connection.
package natsbus

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
)

const (
	// Of one subscription's messages that wait for its handler; what comes on top is dropped and counted. Generous,
	// because a drop costs a recovery and the memory is used only while a handler is behind.
	pendingMessages = 1 << 20
	pendingBytes    = 512 << 20

	// roundTrip bounds the wait for the server to have processed subscriptions.
	roundTrip = 10 * time.Second
)

// Bus is a bus.Bus over one connection.
type Bus struct {
	conn   *nats.Conn
	owns   bool
	status chan nats.Status
	once   sync.Once // of Close
	closed atomic.Bool
	// ended is closed with closed; it ends requests on a connection that lives on.
	ended chan struct{}
	// callbacks counts the goroutines that watch for reconnects and those that run what OnReconnect registered.
	callbacks sync.WaitGroup
	outbox    outbox

	mu        sync.Mutex // guards what follows
	subs      map[*subscription]struct{}
	ending    []*subscription // unsubscribed, perhaps with a handler call under way
	reconnect []func()
	dropped   uint64 // by subscriptions that are gone
}

var _ bus.Bus = (*Bus)(nil)

// New makes a Bus of a connection, which Close closes if owns is set. Several buses may share a connection, which
// should be one that natsconn opened.
func New(conn *nats.Conn, owns bool) *Bus {
	b := &Bus{
		conn:   conn,
		owns:   owns,
		status: conn.StatusChanged(nats.CONNECTED),
		ended:  make(chan struct{}),
		subs:   make(map[*subscription]struct{}),
	}
	b.callbacks.Go(b.watch)
	return b
}

// watch runs the reconnect callbacks until the listener is removed or the connection closed.
func (b *Bus) watch() {
	for {
		select {
		case s, ok := <-b.status:
			if !ok {
				return
			}
			// The client says so before it has sent the subscriptions again. A round trip that fails means that the
			// connection is lost again, and another turn will come.
			if s == nats.CONNECTED && b.restored() {
				b.reconnected()
			}
		case <-b.ended:
			return
		}
	}
}

// restored makes a round trip.
func (b *Bus) restored() bool {
	ctx, cancel := context.WithTimeout(context.Background(), roundTrip)
	defer cancel()
	ctx, stop := b.untilClosed(ctx)
	defer stop()
	return b.conn.FlushWithContext(ctx) == nil
}

// untilClosed gives a context that also ends when the bus is closed.
func (b *Bus) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-b.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (b *Bus) reconnected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.reconnect {
		b.callbacks.Go(f)
	}
}

// Publish implements bus.Bus. While the connection is lost messages wait in the connection's buffer; once that is
// full it returns unreachable.
func (b *Bus) Publish(m bus.Msg) error {
	if b.closed.Load() {
		return bus.ErrClosed
	}
	// A malformed subject would close the connection for everyone who shares it, so no other check will do.
	if err := bus.CheckSubject(m.Subject); err != nil {
		return err
	}
	if m.Reply != "" {
		if err := bus.CheckSubject(m.Reply); err != nil {
			return err
		}
	}
	if len(m.Data) > b.MaxPayload() {
		return bus.ErrTooLarge
	}
	return b.outbox.publish(b, m)
}

// Request implements bus.Bus.
func (b *Bus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if b.closed.Load() {
		return nil, bus.ErrClosed
	}
	if err := bus.CheckSubject(subject); err != nil {
		return nil, err
	}
	if !b.owns { // else closing the connection ends the request
		var cancel context.CancelFunc
		ctx, cancel = b.untilClosed(ctx)
		defer cancel()
	}
	m, err := b.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		if b.closed.Load() && errors.Is(err, context.Canceled) {
			return nil, bus.ErrClosed
		}
		return nil, explain(err)
	}
	return m.Data, nil
}

// explain turns the client's errors into the seam's. A context's end passes as it is.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, nats.ErrNoResponders):
		return bus.ErrNoResponders
	case errors.Is(err, nats.ErrMaxPayload):
		return bus.ErrTooLarge
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return bus.ErrClosed
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return fault.New(fault.Unreachable, "nats has been away for so long that the send buffer is full: slow down until it is back: %w", err)
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrBadQueueName):
		return fault.New(fault.InvalidArgument, "%w", err)
	}
	return fault.New(fault.Unreachable, "nats connection: %w", err)
}

// Subscribe implements bus.Bus. It makes a round trip to the server.
func (b *Bus) Subscribe(subject, queue string, h bus.Handler) (bus.Subscription, error) {
	if b.closed.Load() {
		return nil, bus.ErrClosed
	}
	if err := bus.CheckPattern(subject); err != nil {
		return nil, err
	}
	if err := bus.CheckQueue(queue); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, fault.New(fault.InvalidArgument, "subscription to %s has no handler", subject)
	}
	s := &subscription{bus: b, handle: h}
	if err := b.register(s, subject, queue); err != nil {
		return nil, err
	}
	if err := b.conn.FlushTimeout(roundTrip); err != nil {
		_ = s.Unsubscribe() // the flush's error is the one to report
		if b.closed.Load() {
			return nil, bus.ErrClosed
		}
		return nil, explain(err)
	}
	return s, nil
}

// register subscribes, and notes s for Close.
func (b *Bus) register(s *subscription, subject, queue string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return bus.ErrClosed
	}
	var err error
	if s.sub, err = b.conn.QueueSubscribe(subject, queue, s.deliver); err != nil {
		return explain(err)
	}
	if err := s.sub.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		_ = s.sub.Unsubscribe() // the connection is closed: that is the error to report
		return explain(err)
	}
	b.subs[s] = struct{}{}
	return nil
}

// Dropped counts the messages that were lost because a subscription's handler was too far behind.
func (b *Bus) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := b.dropped
	for s := range b.subs {
		sum += s.dropped()
	}
	return sum
}

// MaxPayload implements bus.Bus.
func (b *Bus) MaxPayload() int { return int(b.conn.MaxPayload()) }

// OnReconnect implements bus.Bus.
func (b *Bus) OnReconnect(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reconnect = append(b.reconnect, f)
}

// Close implements bus.Bus. What was published before is sent. It also waits for OnReconnect functions under way.
func (b *Bus) Close() error {
	b.once.Do(b.close)
	return nil
}

func (b *Bus) close() {
	b.mu.Lock()
	b.closed.Store(true)
	b.reconnect = nil
	subs := slices.Collect(maps.Keys(b.subs))
	b.mu.Unlock()
	close(b.ended)
	for _, s := range subs {
		_ = s.Unsubscribe() // never fails
	}
	b.conn.RemoveStatusListener(b.status)
	if b.owns {
		b.conn.Close()
	}
	b.mu.Lock()
	ending := b.ending
	b.ending = nil
	b.mu.Unlock()
	for _, s := range ending {
		s.wait()
	}
	b.callbacks.Wait()
}
