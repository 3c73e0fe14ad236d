package xfer

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sync/semaphore"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// maxPeers is how many addresses of one value are used; more add nothing.
const maxPeers = 64

// ClientConfig of a Client. The zero value is useful.
type ClientConfig struct {
	// RangeSize is what one request asks for at most, in bytes (0: 1 MiB; at most MaxRange). A range that fails is fetched
	// again as a whole, so larger ones lose more; they were not found to cost less (BenchmarkRanges).
	RangeSize int64
	// Window is how many ranges one Fetch has under way at most (0: 24).
	Window int
	// StreamsPerPeer is how many of those one peer is asked for at a time (0: 3): while one waits for the peer to open
	// and sum its range, others move.
	StreamsPerPeer int
	// ConnsPerPeer bounds the connections in use to one peer, of all Fetches together (0: 16).
	ConnsPerPeer int
	// MaxConns bounds all connections, in use and idle (0: 256).
	MaxConns int
	// Budget bounds the bytes of all Fetches under way (0: 2 GiB). A Fetch waits for its share; a value over it is
	// too_large.
	Budget int64

	// DialTimeout bounds connecting (0: 3 s).
	DialTimeout time.Duration
	// StallTimeout is how long a peer may take for each 256 KiB, and to begin (0: 5 s).
	StallTimeout time.Duration
	// IdleTimeout is how long an unused connection is kept (0: 30 s). It should be less than the servers'.
	IdleTimeout time.Duration

	// Dial connects; nil is plain TCP. For instance one with TLS.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (c *ClientConfig) validate() error {
	if c.RangeSize < 0 || c.RangeSize > MaxRange {
		return fault.New(fault.InvalidArgument, "ranges of %d bytes: at most %d can be asked for", c.RangeSize, MaxRange)
	}
	for _, n := range []struct {
		value *int64
		or    int64
	}{{&c.RangeSize, 1 << 20}, {&c.Budget, 2 << 30}} {
		if *n.value <= 0 {
			*n.value = n.or
		}
	}
	for _, n := range []struct {
		value *int
		or    int
	}{{&c.Window, 24}, {&c.StreamsPerPeer, 3}, {&c.ConnsPerPeer, 16}, {&c.MaxConns, 256}} {
		if *n.value <= 0 {
			*n.value = n.or
		}
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&c.DialTimeout, 3 * time.Second}, {&c.StallTimeout, 5 * time.Second}, {&c.IdleTimeout, 30 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	return nil
}

// Client fetches values from the data ports of peers. Safe for concurrent use.
type Client struct {
	cfg    ClientConfig
	pool   *pool
	links  *links
	budget *semaphore.Weighted

	mu      sync.Mutex // guards what follows
	fetches map[*fetch]context.CancelCauseFunc
	closed  bool
	done    sync.WaitGroup // of fetches
}

// NewClient makes one. Close ends it.
func NewClient(cfg ClientConfig) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Client{
		cfg: cfg,
		pool: &pool{
			most: cfg.MaxConns, perPeer: cfg.ConnsPerPeer, keep: cfg.IdleTimeout,
			dial: cfg.Dial, timeout: cfg.DialTimeout, peers: map[string]int{},
		},
		links:   newLinks(),
		budget:  semaphore.NewWeighted(cfg.Budget),
		fetches: map[*fetch]context.CancelCauseFunc{},
	}, nil
}

// Fetch gives the value under ref, of size bytes, from the peers at addrs that hold it: the first is preferred for a
// small one, a large one comes from all. It takes one allocation, which is the caller's. It returns when the value is
// whole, no peer is left to ask, or ctx ends; an error says what each peer did:
//
//	not_found, unauthorized  no peer has it; none takes the capability
//	invalid_argument         no addresses, a bad reference, or another size
//	too_large                more than the client's Budget
//	overloaded, unreachable, unavailable
//	                         peers refuse, are gone, stall or send wrong bytes: it may work later
//	cancelled, deadline_exceeded
//	                         ctx ended
//
// A value of no bytes is given without asking anybody.
func (c *Client) Fetch(ctx context.Context, addrs []string, ref Ref, capability Capability, size int64) ([]byte, error) {
	return c.run(ctx, addrs, ref, capability, size, nil, nil)
}

// FetchWhole is Fetch of a value whose Sums.Whole is known: it is unavailable where the peers' bytes are not those, even
// if all of them came as they were sent.
func (c *Client) FetchWhole(ctx context.Context, addrs []string, ref Ref, capability Capability, size int64, whole uint64) ([]byte, error) {
	return c.run(ctx, addrs, ref, capability, size, nil, &whole)
}

// FetchInto is Fetch into memory of the caller's, as long as the value, such as a shard's place in its stripe. Nothing
// writes to dst any more once it has returned; after an error there may be anything in it.
func (c *Client) FetchInto(ctx context.Context, dst []byte, addrs []string, ref Ref, capability Capability) error {
	if dst == nil {
		dst = []byte{}
	}
	_, err := c.run(ctx, addrs, ref, capability, int64(len(dst)), dst, nil)
	return err
}

func (c *Client) run(ctx context.Context, addrs []string, ref Ref, capability Capability, size int64, dst []byte, whole *uint64) ([]byte, error) {
	if err := ref.check(); err != nil {
		return nil, err
	}
	if len(capability) > capabilityLen {
		return nil, fault.New(fault.InvalidArgument, "a capability of %d bytes: bring the one of %d bytes that came with the reference", len(capability), capabilityLen)
	}
	if size < 0 {
		return nil, fault.New(fault.InvalidArgument, "a value of %d bytes: pass the size that was announced with the reference", size)
	}
	if size > c.cfg.Budget {
		return nil, fault.New(fault.TooLarge, "a value of %d bytes: this node fetches at most %d at a time; raise the client's Budget", size, c.cfg.Budget)
	}
	if size == 0 {
		return []byte{}, nil
	}
	if addrs = distinct(addrs); len(addrs) == 0 {
		return nil, fault.New(fault.InvalidArgument, "no address of a peer that holds the value: pass at least one")
	}
	f := &fetch{client: c, ref: ref, capability: capability, dst: dst, size: size}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed()
	}
	c.fetches[f] = cancel
	c.done.Add(1)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.fetches, f)
		c.mu.Unlock()
		c.done.Done()
	}()
	if err := c.budget.Acquire(ctx, size); err != nil {
		return nil, f.ended(ctx)
	}
	defer c.budget.Release(size)
	if f.dst == nil {
		f.dst = room(int(size))
	}
	var peers []Link
	for _, addr := range addrs {
		l := c.links.of(addr)
		f.links = append(f.links, l)
		peers = append(peers, l.now())
	}
	step := rangeSize(size, len(peers), c.cfg.RangeSize)
	f.piece = step
	if whole != nil {
		step, f.piece, f.op = chunkRange(size, len(peers)), Chunk, opChunks
	}
	f.sums = make(Sums, (size+f.piece-1)/f.piece)
	f.plan = newPlan(size, step, peers, c.cfg.Window, c.cfg.StreamsPerPeer, rand.Float64)
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	if whole != nil && f.sums.Whole(size) != *whole {
		return nil, fault.New(fault.Unavailable, "fetch of %s: it came as it was sent, and is not the value that its reference names: make it anew", f.what())
	}
	return f.dst, nil
}

// room is value.MakePayload, of much without zeroing it first, which for a gigabyte takes a good part of the time of the
// transfer: every byte is written before anybody sees it. A strings.Builder does not zero what it grows by.
func room(n int) []byte {
	const lead = 1 // as MakePayload has it
	if n < zeroing {
		return value.MakePayload(n)
	}
	var b strings.Builder
	b.Grow(lead + n)
	_ = b.WriteByte(0) // so that the string has a beginning; it never fails
	return unsafe.Slice(unsafe.StringData(b.String()), lead+n)[lead:]
}

const zeroing = 1 << 20 // bytes below which it costs nothing to speak of

// distinct addresses in their order, at most maxPeers.
func distinct(addrs []string) []string {
	var out []string
	for _, a := range addrs {
		if a != "" && !slices.Contains(out, a) && len(out) < maxPeers {
			out = append(out, a)
		}
	}
	return out
}

// Links are what was observed of the peers that the client remembers, by address: the latest thousand or so.
func (c *Client) Links() []Link { return c.links.all() }

// Close ends Fetches under way, with unavailable, waits for them, and closes all connections. Idempotent.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	for _, cancel := range c.fetches {
		cancel(errClosed())
	}
	c.mu.Unlock()
	c.done.Wait()
	c.pool.close()
}

// stream reads one range from one peer into dst, and gives its checksums in seen.
func (c *Client) stream(ctx context.Context, l *link, addr string, r *request, total int64, dst []byte, got *atomic.Int64, seen Sums) error {
	for fresh := false; ; fresh = true {
		conn, err := c.pool.get(ctx, addr, fresh)
		if err != nil {
			return err
		}
		if conn.fresh {
			l.trip(conn.took)
		}
		l.begin(len(dst), time.Now())
		answered, err := conn.read(ctx, r, total, dst, c.cfg.StallTimeout, got, l, seen)
		l.end(len(dst), got.Load(), time.Now())
		if keeps(err) {
			c.pool.put(conn)
		} else {
			c.pool.drop(conn)
		}
		// A kept connection that the server has closed meanwhile says nothing of the server.
		if err == nil || answered || conn.fresh || ctx.Err() != nil || stalled(err) {
			return err
		}
	}
}
