package bus

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/squall-faas/squall/fault"
)

// Options of a Network. The zero value is a network without faults, with a seed of its own.
type Options struct {
	// Seed of everything random: which member of a queue gets a message, and the fate of each message under a Rule.
	// With the same seed the nth message of a link that a rule applies to has the same fate. 0 picks one; String
	// shows it.
	Seed uint64
	// MaxPayload of a message in bytes; default 1 MiB, as NATS.
	MaxPayload int
	// QueueLimit is how many messages may wait for one subscription's handler; further ones are dropped and counted.
	// Default 65,536.
	QueueLimit int
	// OnFault, if not nil, hears of every injected fault and dropped message. It is called with locks held: it must
	// be quick and must not use the network.
	OnFault func(FaultEvent)
}

// String shows what a test must print to be replayed.
func (o Options) String() string {
	return fmt.Sprintf("seed=%d max_payload=%d queue_limit=%d", o.Seed, o.MaxPayload, o.QueueLimit)
}

// bufferLimit is how many bytes a disconnected node's publishing may pile up, as natsconn sets it for NATS.
const bufferLimit = 8 << 20

// Network is an in-memory messaging network of named nodes in one process, with the semantics of NATS on one server
// and with faults on demand. Every message crosses it, also those of a node to itself.
//
// It is safe for concurrent use.
type Network struct {
	opts   Options
	counts counters
	// faulty: there was a rule or a cut at some time, so messages go by their links. It stays set, because what is
	// still delayed on a link must not be overtaken.
	faulty atomic.Bool

	mu     sync.RWMutex // guards what follows, and conn.detached and conn.closed; taken before any other lock
	closed bool
	subs   sublist
	conns  map[*conn]struct{}
	joined int // conns ever; numbers their inboxes
	rules  []*rule
	ruled  uint64             // rules ever; seeds their fates
	cuts   map[[2]string]bool // from, to; empty stands for any node
	picks  map[string]*picker // by publishing node

	linksMu sync.Mutex // guards links
	links   map[[2]string]*link

	scratch sync.Pool // of *matches
}

// NewNetwork makes a network without nodes.
func NewNetwork(o Options) *Network {
	o.Seed = cmp.Or(o.Seed, rand.Uint64()|1)
	o.MaxPayload = cmp.Or(o.MaxPayload, 1<<20)
	o.QueueLimit = cmp.Or(o.QueueLimit, 1<<16)
	return &Network{
		opts:    o,
		conns:   make(map[*conn]struct{}),
		cuts:    make(map[[2]string]bool),
		picks:   make(map[string]*picker),
		links:   make(map[[2]string]*link),
		scratch: sync.Pool{New: func() any { return new(matches) }},
	}
}

// Options gives the network's options with the defaults filled in, the seed among them.
func (n *Network) Options() Options { return n.opts }

// Join connects a node; its name is what faults refer to. A node may have several connections, and join again after a
// crash. On a closed network every method of the Bus returns ErrClosed.
func (n *Network) Join(node string) Bus {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.joined++
	c := &conn{
		net:     n,
		node:    node,
		number:  n.joined,
		inbox:   "_INBOX." + strconv.Itoa(n.joined) + ".",
		subs:    make(map[*subscription]struct{}),
		pending: make(map[uint64]chan Msg),
		done:    make(chan struct{}),
	}
	if n.picks[node] == nil {
		n.picks[node] = &picker{rng: n.rng("pick", node)}
	}
	c.pick = n.picks[node]
	if n.closed {
		c.closed = true
		close(c.done)
		return c
	}
	n.conns[c] = struct{}{}
	mux := &subscription{conn: c, pattern: c.inbox + "*", handle: c.answer, direct: true}
	c.subs[mux] = struct{}{}
	n.subs.add(mux)
	return c
}

// Close ends every node's bus and waits for handler calls under way; what is in flight is lost. Idempotent.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	var all []*conn
	for c := range n.conns {
		all = append(all, c)
		n.endLocked(c)
	}
	n.mu.Unlock()
	n.linksMu.Lock()
	for _, l := range n.links {
		l.close()
	}
	n.linksMu.Unlock()
	for _, c := range all {
		c.handlers.Wait()
	}
}

// endLocked takes c off the network.
func (n *Network) endLocked(c *conn) {
	if c.closed {
		return
	}
	c.closed = true
	close(c.done)
	for s := range c.subs {
		n.subs.remove(s)
		s.close()
	}
	clear(c.subs)
	c.buffer, c.buffered = nil, 0
	delete(n.conns, c)
}

// publish routes m, whose Data still belongs to the publisher.
func (n *Network) publish(from *conn, m Msg) error {
	n.mu.RLock()
	switch {
	case from.closed:
		n.mu.RUnlock()
		return ErrClosed
	case from.detached:
		n.mu.RUnlock()
		return n.park(from, m)
	}
	defer n.mu.RUnlock()
	n.routeLocked(from, m)
	return nil
}

// park keeps m until the node is connected again, as the NATS client does.
func (n *Network) park(from *conn, m Msg) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case from.closed:
		return ErrClosed
	case !from.detached: // healed meanwhile
		n.routeLocked(from, m)
		return nil
	case from.buffered+len(m.Data) > bufferLimit:
		return fault.New(fault.Unreachable, "node %s is disconnected and has %d bytes waiting: slow down until it is back", from.node, from.buffered)
	}
	from.buffered += len(m.Data)
	m.Data = slices.Clone(m.Data)
	from.buffer = append(from.buffer, m)
	return nil
}

// routeLocked delivers m to whom it concerns. It needs n.mu at least for reading.
func (n *Network) routeLocked(from *conn, m Msg) {
	if n.faulty.Load() && n.cutLocked(from.node, anyNode) {
		n.record(Cut, from.node, anyNode, m.Subject)
		return
	}
	r := n.scratch.Get().(*matches)
	defer n.scratch.Put(r)
	defer r.reset()
	n.subs.match(m.Subject, r)
	for _, s := range r.plain {
		n.sendLocked(from, s, m)
	}
	for _, g := range r.groups {
		n.sendLocked(from, g.members[from.pick.choose(len(g.members))], m)
	}
	if m.Reply == "" || len(r.plain) > 0 || len(r.groups) > 0 {
		return
	}
	// As the NATS server does: to the publisher's own plain subscription to the reply subject, and to nobody else's.
	n.subs.match(m.Reply, r)
	for _, s := range r.plain {
		if s.conn == from {
			n.sendLocked(from, s, Msg{Subject: m.Reply, NoResponders: true})
			return
		}
	}
}

// sendLocked delivers a copy of m to s, by the link between the two nodes if there may be faults.
func (n *Network) sendLocked(from *conn, s *subscription, m Msg) {
	m.Data = slices.Clone(m.Data)
	if n.faulty.Load() {
		n.transmitLocked(from.node, s, m)
		return
	}
	n.arrive(from.node, s, m)
}

// arrive ends m's way.
func (n *Network) arrive(from string, s *subscription, m Msg) {
	if !s.push(m, n.opts.QueueLimit) {
		n.record(Overflow, from, s.conn.node, m.Subject)
	}
}

// rng makes the generator for a purpose, the same for the same seed.
func (n *Network) rng(purpose ...string) *rand.Rand {
	h := fnv.New64a()
	for _, p := range purpose {
		_, _ = h.Write([]byte(p)) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	return rand.New(rand.NewPCG(n.opts.Seed, h.Sum64()))
}

// picker chooses among the members of a queue for one publishing node.
type picker struct {
	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

func (p *picker) choose(n int) int {
	if n == 1 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(n)
}
