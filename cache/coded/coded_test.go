package coded

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a namespace in this process: a bus, a store, lenders on loopback, one tier that reads and writes.
type world struct {
	t       testing.TB
	network *bus.Network
	store   kvs.Store
	secret  xfer.Secret
	tier    *Tier
	lenders []*node
	began   time.Time                                                         // of the first lender's life
	dial    func(ctx context.Context, network, addr string) (net.Conn, error) // of all tiers; nil is TCP
}

// node is a lender with a tier and a keeper of its own, as an executor has them.
type node struct {
	*Lender
	tier   *Tier
	keeper *Keeper
	bus    bus.Bus
	proxy  *proxy
}

type setup struct {
	lenders int
	bytes   int64 // each lends; 0: 64 MiB
	host    func(int) string
	beat    time.Duration // 0: 250 ms
	keep    bool          // keepers run
	scan    time.Duration // of theirs; 0: an hour
	stall   time.Duration
	grace   time.Duration
	proxied bool
	// portless lenders have no ports, so that a bubble of virtual time can hold them: they announce themselves, and whoever
	// dials them is refused.
	portless bool
}

// noPort is the listener of a lender that nobody can reach.
type noPort chan struct{}

func (p noPort) Accept() (net.Conn, error) { <-p; return nil, net.ErrClosed }
func (p noPort) Close() error              { close(p); return nil }
func (p noPort) Addr() net.Addr            { return &net.TCPAddr{} }

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, network: bus.NewNetwork(bus.Options{}), store: kvs.NewMemory(), secret: xfer.Secret{7}, began: time.Now()}
	if s.portless {
		w.dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
	}
	t.Cleanup(func() {
		for _, l := range w.lenders {
			l.stop()
		}
		if w.tier != nil {
			_ = w.tier.Close()
		}
		w.network.Close()
		_ = w.store.Close()
	})
	for range s.lenders {
		w.lend(s)
	}
	w.tier = w.join("client", s.stall)
	return w
}

func (w *world) join(name string, stall time.Duration) *Tier {
	w.t.Helper()
	if stall == 0 {
		stall = time.Second
	}
	t, err := New(Config{Namespace: "test", Bus: w.network.Join(name), Store: w.store, Secret: w.secret, Stall: stall, Dial: w.dial})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := t.Settle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return t
}

// lend starts another lender.
func (w *world) lend(s setup) *node {
	w.t.Helper()
	i := len(w.lenders)
	name := fmt.Sprintf("lender-%d", i)
	n := &node{}
	var err error
	n.bus = w.network.Join(name)
	if s.stall == 0 {
		s.stall = time.Second
	}
	n.tier, err = New(Config{Namespace: "test", Bus: n.bus, Store: w.store, Secret: w.secret, Stall: s.stall, Dial: w.dial})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := LenderConfig{Name: name, Most: 64 << 20, Heartbeat: 250 * time.Millisecond, Grace: s.grace}
	if s.bytes != 0 {
		cfg.Most = s.bytes
	}
	if s.beat != 0 {
		cfg.Heartbeat = s.beat
	}
	if s.host != nil {
		cfg.Host = s.host(i)
	}
	cfg.Lend = cfg.Most
	if s.portless {
		cfg.Listener = make(noPort)
	}
	if s.proxied {
		n.proxy = newProxy(w.t)
		cfg.Announce = n.proxy.addr()
	}
	cfg.Evicted = func(keys ...string) {
		if n.keeper != nil {
			n.keeper.Look(keys...)
		}
	}
	if n.Lender, err = NewLender(n.tier, cfg); err != nil {
		w.t.Fatal(err)
	}
	if n.proxy != nil {
		n.proxy.to(n.Lender.port.listener.Addr().String())
	}
	if s.keep {
		if s.scan == 0 {
			s.scan = time.Hour
		}
		n.keeper = NewKeeper(n.tier, KeeperConfig{Self: n.ID(), Scan: s.scan})
	}
	w.lenders = append(w.lenders, n)
	return n
}

// stop ends a lender in order.
func (n *node) stop() {
	if n.keeper != nil {
		n.keeper.Close()
	}
	_ = n.Close()
	_ = n.tier.Close()
	if n.proxy != nil {
		n.proxy.close()
	}
}

// kill ends a lender without a word: no farewell, and its port is gone.
func (n *node) kill() {
	if n.keeper != nil {
		n.keeper.Close()
	}
	_ = n.bus.Close()
	n.stop()
}

// holder of a column of an object.
func (w *world) holder(key string, column int) *node {
	w.t.Helper()
	o, err := w.tier.catalog.current(w.t.Context(), key)
	if err != nil || o.Version == nil {
		w.t.Fatal(key, err)
	}
	for _, n := range w.lenders {
		if n.ID() == o.Holders[column] {
			return n
		}
	}
	w.t.Fatalf("column %d of %s is with none of the lenders", column, key)
	return nil
}

// random bytes, the same for the same seed and size.
func random(seed, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(size), byte(size >> 8), byte(size >> 16)}).Read(b)
	return b
}

func (w *world) put(key string, b []byte, o PutOptions) Info {
	w.t.Helper()
	i, err := w.tier.Put(w.t.Context(), key, bytes.NewReader(b), o)
	if err != nil {
		w.t.Fatalf("put %s: %v", key, err)
	}
	return i
}

// want reads an object in all ways and compares it.
func (w *world) want(key string, b []byte) {
	w.t.Helper()
	var got bytes.Buffer
	if _, err := w.tier.Get(w.t.Context(), key, &got); err != nil || !bytes.Equal(got.Bytes(), b) {
		w.t.Fatalf("get %s: %d bytes of %d, %v", key, got.Len(), len(b), err)
	}
	into := make([]byte, len(b))
	if _, err := w.tier.GetInto(w.t.Context(), key, into); err != nil || !bytes.Equal(into, b) {
		w.t.Fatalf("get %s into memory: %v", key, err)
	}
}

// eventually waits until f is true: heartbeats, repairs.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	late := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

var ten2 = layout.Code{Data: 10, Parity: 2}

// TestSizes: objects of no byte, one, not a multiple of d, around a stripe, of several stripes, as a stream and from memory,
// with codes as given and chosen, in whole and in ranges.
func TestSizes(t *testing.T) {
	w := newWorld(t, setup{lenders: 13})
	stripe := 10 * layout.ShardBytes
	for i, size := range []int{0, 1, 9, 11, 65_537, stripe - 1, stripe + 1, 2*stripe + 12345} {
		for n, code := range []layout.Code{ten2, {Data: 4, Parity: 2}, {Data: 10}, {Data: 1, Parity: 2}, {}} {
			if n > 0 && size > 2<<20 {
				continue
			}
			b := random(i, size)
			key := fmt.Sprintf("%d of %v", size, code)
			if i%2 == 0 {
				w.put(key, b, PutOptions{Code: code})
			} else if _, err := w.tier.Put(t.Context(), key, io.MultiReader(bytes.NewReader(b)), PutOptions{Code: code}); err != nil {
				t.Fatal(err)
			}
			w.want(key, b)
			for range 3 {
				from := rand.IntN(size + 1)
				n := rand.IntN(size - from + 1)
				var got bytes.Buffer
				if _, err := w.tier.GetRange(t.Context(), key, int64(from), int64(n), &got); err != nil || !bytes.Equal(got.Bytes(), b[from:from+n]) {
					t.Fatalf("%s, %d from %d: %v", key, n, from, err)
				}
			}
			i, err := w.tier.Stat(t.Context(), key)
			if err != nil || i.Size != int64(size) || !code.IsZero() && i.Code != code || i.Lenders < 0 {
				t.Fatalf("%s: %+v, %v", key, i, err)
			}
			holders := map[string]bool{} // fewer than columns where a heartbeat came late on a busy machine
			for _, s := range i.Shards {
				holders[s.Lender] = true
			}
			if len(holders) == len(i.Shards) && i.Lenders < i.Code.Parity {
				t.Fatalf("%s: %+v, %v", key, i, err)
			}
			if err := w.tier.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if _, err := w.tier.Get(t.Context(), key, io.Discard); !fault.Is(err, fault.NotFound) {
				t.Fatalf("after delete: %v", err)
			}
		}
	}
	_, err := w.tier.GetRange(t.Context(), "nothing", 0, 1, io.Discard)
	if !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// reader joins a tier of its own, which has learnt nothing yet and dials as dial does.
func (w *world) reader(name string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *Tier {
	w.t.Helper()
	r, err := New(Config{Namespace: "test", Bus: w.network.Join(name), Store: w.store, Secret: w.secret, Stall: 10 * time.Second, Dial: dial})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = r.Close() })
	w.eventually("the reader knows all lenders", func() bool { return len(r.Lenders()) == len(w.lenders) })
	return r
}

// unhurried gives the Stats of a read for which no shard came late, by a tier of its own. On a busy machine some do, and what
// is asked for beside them is not what the test is about.
func (w *world) unhurried(dial func(ctx context.Context, network, addr string) (net.Conn, error), read func(*Tier)) Stats {
	w.t.Helper()
	for i := range 50 {
		r := w.reader(fmt.Sprint("reader-", i), dial)
		read(r)
		s := r.Stats()
		if err := r.Close(); err != nil {
			w.t.Fatal(err)
		}
		if s.Hedges == 0 && s.Failed == 0 {
			return s
		}
	}
	w.t.Fatal("shards came late in each of 50 reads")
	return Stats{}
}

// TestHealthyRead: where all lenders are there nothing is computed.
func TestHealthyRead(t *testing.T) {
	w := newWorld(t, setup{lenders: 6, beat: time.Minute}) // no heartbeat that could be late
	b := random(5, 2*four2.Data*layout.ShardBytes+12_345)  // three stripes
	w.put("k", b, PutOptions{Code: four2})
	s := w.unhurried(nil, func(r *Tier) {
		if got, _, err := r.GetBytes(t.Context(), "k", 0); err != nil || !bytes.Equal(got, b) {
			t.Fatal(err)
		}
	})
	if s.Direct != 3 || s.Rebuilt != 0 || s.Coding != 0 {
		t.Errorf("%+v of a read of three stripes", s)
	}
}

// counted is a connection whose bytes from the other side are counted.
type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

// TestRangeFetchesItsShards: a range costs the shards that it is in, and no byte of the others.
func TestRangeFetchesItsShards(t *testing.T) {
	w := newWorld(t, setup{lenders: 12, beat: time.Minute}) // nobody is asked whether it is there
	const shard, stripe = layout.ShardBytes, 10 * layout.ShardBytes
	b := random(6, 2*stripe+12_345)
	w.put("k", b, PutOptions{Code: ten2})
	for _, c := range []struct {
		name   string
		from   int
		length int
		shards int
	}{
		{"a byte", 3*shard + 7, 1, 1},
		{"a shard", 4 * shard, shard, 1},
		{"the end of a shard and the beginning of the next", 6*shard - 10, 20, 2},
		{"the end of a stripe and the beginning of the next", stripe - 10, 20, 2},
		{"nothing", stripe, 0, 0},
	} {
		var came atomic.Int64
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return counted{conn, &came}, err
		}
		w.unhurried(dial, func(r *Tier) {
			came.Store(0)
			var got bytes.Buffer
			if _, err := r.GetRange(t.Context(), "k", int64(c.from), int64(c.length), &got); err != nil || !bytes.Equal(got.Bytes(), b[c.from:c.from+c.length]) {
				t.Fatalf("%s: %v", c.name, err)
			}
		})
		want := int64(c.shards * (shard + helloLen + responseLen))
		if came.Load() != want {
			t.Errorf("%s: %d bytes came, %d shards and their heads are %d", c.name, came.Load(), c.shards, want)
		}
	}
}

// TestLosses: whichever p lenders cannot be reached the bytes are right, and without any one more the object is missed, or
// comes from the store; so too when they are killed one after the other.
func TestLosses(t *testing.T) {
	w := newWorld(t, setup{lenders: 6})
	b := random(1, 3_000_001)
	w.put("cached", b, PutOptions{Code: four2})
	w.put("stored", b, PutOptions{Code: four2, Stored: true})
	for set := range 1 << len(w.lenders) {
		n := bits.OnesCount(uint(set))
		if n != four2.Parity && n != four2.Parity+1 {
			continue
		}
		gone := map[string]bool{}
		for i, l := range w.lenders {
			gone[l.Addr()] = set>>i&1 == 1
		}
		r := w.reader(fmt.Sprintf("without-%06b", set), func(ctx context.Context, network, addr string) (net.Conn, error) {
			if gone[addr] {
				return nil, syscall.ECONNREFUSED
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		})
		got, _, err := r.GetBytes(t.Context(), "cached", 0)
		if n == four2.Parity {
			if err != nil || !bytes.Equal(got, b) {
				t.Errorf("without %06b: %v", set, err)
			}
		} else if !fault.Is(err, fault.Unavailable) { // they may come back
			t.Errorf("without %06b: %d bytes, %v", set, len(got), err)
		}
		if got, _, err := r.GetBytes(t.Context(), "stored", 0); err != nil || !bytes.Equal(got, b) {
			t.Errorf("without %06b, stored: %v", set, err)
		}
		if backed := r.Stats().Backed > 0; backed != (n > four2.Parity) {
			t.Errorf("without %06b: read from the store: %v", set, backed)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for n := range 2 {
		w.holder("cached", 3*n).kill()
		w.lenders = remove(w.lenders, func(l *node) bool { return l.port.isClosed() })
		w.want("cached", b)
		w.want("stored", b)
	}
	s, err := w.tier.Stat(t.Context(), "cached")
	if err != nil || s.Lenders != 0 {
		t.Fatalf("%+v %v", s, err)
	}
	w.holder("cached", 1).kill()
	if _, err := w.tier.Get(t.Context(), "cached", io.Discard); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	w.want("stored", b)
	if w.tier.Stats().Backed == 0 {
		t.Fatal("nothing was read from the store")
	}
}

func remove(nodes []*node, gone func(*node) bool) (out []*node) {
	for _, n := range nodes {
		if !gone(n) {
			out = append(out, n)
		}
	}
	return out
}

func (p *port) isClosed() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.closed }

// TestReclaimedAtOnce: all lenders take their memory back; what is stored is read from the store, what is not is a miss,
// and new objects are refused in words.
func TestReclaimedAtOnce(t *testing.T) {
	w := newWorld(t, setup{lenders: 6})
	b := random(2, 1_234_567)
	w.put("stored", b, PutOptions{Stored: true})
	w.put("cached", b, PutOptions{})
	for _, l := range w.lenders {
		l.Lend(0)
		if s := l.Stats(); s.Resident != 0 || s.Used != 0 {
			t.Fatalf("%+v after all was taken back", s)
		}
	}
	w.want("stored", b)
	if _, err := w.tier.Get(t.Context(), "cached", io.Discard); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	w.eventually("nobody lends", func() bool { return len(w.tier.fleet.takers(time.Now())) == 0 })
	if _, err := w.tier.PutBytes(t.Context(), "new", b, PutOptions{}); !fault.Is(err, fault.NoExecutor) {
		t.Fatal(err)
	}
	if _, err := w.tier.PutBytes(t.Context(), "empty", nil, PutOptions{}); err != nil {
		t.Fatal("an empty object needs no lender:", err)
	}
}

// proxy stands between clients and a lender, and does to what passes as it is told.
type proxy struct {
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	target string
	mode   string        // "", stop (nothing passes until it changes), slow, corrupt, garbage, endless
	change chan struct{} // closed when mode changes
	conns  map[net.Conn]bool
	ctx    context.Context
	cancel context.CancelFunc
}

func newProxy(t testing.TB) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, conns: map[net.Conn]bool{}, change: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.done.Go(p.accept)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) to(addr string) { p.mu.Lock(); p.target = addr; p.mu.Unlock() }

// set changes what happens to what passes from now on, on connections that are there too.
func (p *proxy) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	close(p.change)
	p.change = make(chan struct{})
}

func (p *proxy) now() (mode string, change <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.change
}

func (p *proxy) close() {
	p.cancel()
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.done.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		back, err := net.Dial("tcp", target)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c], p.conns[back] = true, true
		p.mu.Unlock()
		pass := func(to, from net.Conn, answers bool) {
			defer to.Close()
			defer from.Close()
			b := make([]byte, 64<<10)
			for {
				n, err := from.Read(b)
				if err != nil {
					return
				}
				if answers {
					mode, change := p.now()
					for ; mode == "stop"; mode, change = p.now() {
						select {
						case <-change:
						case <-p.ctx.Done():
							return
						}
					}
					switch mode {
					case "slow":
						select {
						case <-time.After(200 * time.Millisecond):
						case <-p.ctx.Done():
							return
						}
					case "corrupt":
						b[n-1] ^= 1
					case "garbage":
						for i := range n {
							b[i] = byte(rand.Uint32())
						}
					case "endless": // the head, and a beginning, and then nothing
						_, _ = to.Write(b[:min(n, 100)])
						<-p.ctx.Done()
						return
					}
				}
				if _, err := to.Write(b[:n]); err != nil {
					return
				}
			}
		}
		p.done.Go(func() { pass(back, c, false) })
		p.done.Go(func() { pass(c, back, true) })
	}
}

// TestBadLenders: up to p lenders that stop, are slow, answer with wrong bytes, garbage or half an answer change nothing but
// the time; one more is an error that says what happened, never a wrong byte.
func TestBadLenders(t *testing.T) {
	for _, mode := range []string{"stop", "slow", "corrupt", "garbage", "endless"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, setup{lenders: 12, proxied: true, stall: 3 * time.Second})
			b := random(3, 700_000)
			w.put("k", b, PutOptions{Code: ten2})
			w.want("k", b)
			w.holder("k", 0).proxy.set(mode)
			w.holder("k", 9).proxy.set(mode)
			for range 3 {
				w.want("k", b)
			}
			if w.tier.Stats().Rebuilt == 0 {
				t.Error("nothing was rebuilt")
			}
			if mode == "slow" {
				return
			}
			w.holder("k", 5).proxy.set(mode)
			if _, err := w.tier.Get(t.Context(), "k", io.Discard); !fault.Is(err, fault.Unavailable) {
				t.Fatalf("three of 10+2: %v", err)
			}
			// A Put goes to others where lenders fail, as far as there are any.
			for _, l := range w.lenders {
				l.proxy.set("")
			}
			w.holder("k", 4).proxy.set(mode)
			c := random(4, 12_000_000)
			if _, err := w.tier.PutBytes(t.Context(), "k", c, PutOptions{Code: layout.Code{Data: 4, Parity: 2}}); err != nil {
				t.Fatal(err)
			}
			w.want("k", c)
		})
	}
}
