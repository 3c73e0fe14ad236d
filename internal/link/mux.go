package link

import (
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/wire"
)

const (
	// frameOverhead is the most that a Frame adds to its message, in bytes.
	frameOverhead = 256

	ackDelay = 10 * time.Millisecond
	ackEvery = 256 // frames after which an acknowledgement does not wait for the delay
	tickEach = 100 * time.Millisecond
)

// Config of a Mux.
type Config struct {
	Bus      bus.Bus
	Subjects wire.Subjects
	Self     wire.Peer
	// Handle receives each message once, in the order in which its sender sent it. It must not block: it is called
	// on the one goroutine of this node's inbox.
	Handle func(from wire.Peer, message []byte)
	// Lost is told once that a peer is gone for good; messages on the way to it are dropped. May be nil.
	Lost func(peer wire.Peer)
	// Clock travels with every message, and is as late as the sender's when the message is handled (Kulkarni et al. '14, §3): what
	// a function writes is later than what those that its arguments come from wrote, whatever their nodes' clocks say. nil is none.
	Clock  *hlc.Clock
	Logger *slog.Logger // nil discards
}

// Mux is a node's end of all its links. Safe for concurrent use.
type Mux struct {
	cfg  Config
	log  *slog.Logger
	subs []bus.Subscription
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex // guards what follows
	links    map[wire.Peer]*link
	lost     map[string]uint64 // highest incarnation by name that is over: frames of it and of earlier ones are refused
	acksDue  map[*link]bool
	ackTimer bool
	settled  time.Time // "no responders" counts from then on
	closed   bool
}

// link is one peer's state, guarded by its Mux.
type link struct {
	peer  wire.Peer
	heard bool // from this very incarnation
	out   outbound
	in    inbound
}

// New starts the node's inbox; Close ends it.
func New(cfg Config) (*Mux, error) {
	m := &Mux{
		cfg: cfg, log: cfg.Logger, stop: make(chan struct{}),
		links: map[wire.Peer]*link{}, lost: map[string]uint64{}, acksDue: map[*link]bool{},
	}
	if m.log == nil {
		m.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	for subject, h := range map[string]bus.Handler{
		cfg.Subjects.Node(cfg.Self.Name):    m.receive,
		cfg.Subjects.GoneAny(cfg.Self.Name): m.gone,
		cfg.Subjects.Ping(cfg.Self.Name):    m.ping,
	} {
		sub, err := cfg.Bus.Subscribe(subject, "", h)
		if err != nil {
			m.unsubscribe()
			return nil, err
		}
		m.subs = append(m.subs, sub)
	}
	cfg.Bus.OnReconnect(func() { m.excuse(time.Now()) })
	m.done.Go(m.ticks)
	return m, nil
}

// Close stops the inbox; messages that are not acknowledged yet are dropped. It waits for nothing but its own
// goroutine. Idempotent.
func (m *Mux) Close() {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	m.mu.Unlock()
	close(m.stop)
	m.unsubscribe()
	m.done.Wait()
}

func (m *Mux) unsubscribe() {
	for _, s := range m.subs {
		_ = s.Unsubscribe() // only fails on a bus that is closed already
	}
}

// Send puts msg on the link to a peer and returns at once. A peer that is gone is reported through Lost. too_large for
// what no message of the bus can carry: it would be sent again for ever, and the peer be taken for dead.
func (m *Mux) Send(to wire.Peer, msg wire.Message) error {
	data, err := wire.Encode(msg)
	if err != nil {
		return err
	}
	if most := m.cfg.Bus.MaxPayload() - frameOverhead; len(data) > most {
		return fault.New(fault.TooLarge, "a message of %d bytes to %s: at most %d fit a frame; offload what it carries", len(data), to.Name, most)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return bus.ErrClosed
	}
	l := m.linkLocked(to)
	if l == nil {
		return nil // lost already, and said so
	}
	m.transmitLocked(l, l.out.push(data, time.Now()))
	return nil
}

// Forget drops what is on the way to a peer that somebody else has found dead.
func (m *Mux) Forget(peer wire.Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetLocked(peer)
}

// Flush waits until everything sent to any peer so far is acknowledged, or the deadline passes; it reports which.
func (m *Mux) Flush(deadline time.Time) bool {
	for {
		m.mu.Lock()
		open := 0
		for _, l := range m.links {
			open += len(l.out.frames)
		}
		m.mu.Unlock()
		if open == 0 {
			return true
		}
		wait := min(ackDelay, time.Until(deadline))
		if wait <= 0 {
			return false
		}
		select {
		case <-time.After(wait):
		case <-m.stop:
			return false
		}
	}
}

// linkLocked finds or makes the link to a peer; nil for an incarnation that was lost.
func (m *Mux) linkLocked(p wire.Peer) *link {
	if l := m.links[p]; l != nil {
		return l
	}
	if p.Incarnation != 0 && p.Incarnation <= m.lost[p.Name] {
		return nil
	}
	l := &link{peer: p}
	m.links[p] = l
	return l
}

func (m *Mux) forgetLocked(p wire.Peer) bool {
	l := m.links[p]
	delete(m.links, p)
	m.lost[p.Name] = max(m.lost[p.Name], p.Incarnation)
	if l != nil {
		delete(m.acksDue, l)
	}
	return l != nil
}

// transmitLocked publishes frames. The lock is held so that frames leave in their order.
func (m *Mux) transmitLocked(l *link, frames []frame) {
	for _, f := range frames {
		b, err := wire.Encode(&wire.Frame{From: m.cfg.Self, To: l.peer.Incarnation, Seq: f.seq, Message: f.data, Clock: m.clock()})
		if err == nil {
			err = m.cfg.Bus.Publish(bus.Msg{
				Subject: m.cfg.Subjects.Node(l.peer.Name),
				Reply:   m.cfg.Subjects.Gone(m.cfg.Self.Name, l.peer.Name),
				Data:    b,
			})
		}
		if err != nil {
			m.log.Warn("message is kept and sent again", "node", l.peer.Name, "err", err)
		}
	}
}

func (m *Mux) clock() uint64 {
	if m.cfg.Clock == nil {
		return 0
	}
	return m.cfg.Clock.Now().Time
}

func (m *Mux) receive(msg bus.Msg) {
	t, err := wire.Peek(msg.Data)
	if err == nil && t == wire.TypeAck {
		err = m.receiveAck(msg.Data)
	} else if err == nil {
		err = m.receiveFrame(msg.Data)
	}
	if err != nil {
		m.log.Warn("message refused", "err", err)
	}
}

func (m *Mux) receiveFrame(b []byte) error {
	var f wire.Frame
	if err := wire.Decode(b, &f); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	if f.To != 0 && f.To != m.cfg.Self.Incarnation {
		m.ackLocked(f.From, f.To, 0) // tell the sender that the life it means is over
		m.mu.Unlock()
		return nil
	}
	l := m.linkLocked(f.From)
	if l == nil {
		m.mu.Unlock()
		return nil // a zombie: it will hear from the owner of its runs
	}
	over := m.heardLocked(f.From)
	ok := l.in.take(f.Seq)
	m.ackSoonLocked(l)
	m.mu.Unlock()
	for _, p := range over {
		m.lose(p)
	}
	if ok {
		if m.cfg.Clock != nil && f.Clock != 0 {
			m.cfg.Clock.Observe(hlc.Stamp{Time: f.Clock}) // one that is wrong by far is not followed
		}
		m.cfg.Handle(f.From, f.Message)
	}
	return nil
}

// ackSoonLocked acknowledges within ackDelay, or now if many frames have come.
func (m *Mux) ackSoonLocked(l *link) {
	if l.in.due >= ackEvery {
		m.ackLocked(l.peer, l.peer.Incarnation, l.in.last)
		l.in.due = 0
		delete(m.acksDue, l)
		return
	}
	m.acksDue[l] = true
	if !m.ackTimer {
		m.ackTimer = true
		time.AfterFunc(ackDelay, m.acknowledge)
	}
}

func (m *Mux) acknowledge() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ackTimer = false
	if m.closed {
		return
	}
	for l := range m.acksDue {
		m.ackLocked(l.peer, l.peer.Incarnation, l.in.last)
		l.in.due = 0
	}
	clear(m.acksDue)
}

func (m *Mux) ackLocked(to wire.Peer, meant, seq uint64) {
	ack := wire.Ack{From: m.cfg.Self, To: to.Incarnation, Seq: seq}
	if meant != to.Incarnation { // the frame was for another life of this node
		ack.Seq = 0
	}
	if err := m.cfg.Bus.Publish(bus.Msg{Subject: m.cfg.Subjects.Node(to.Name), Data: wire.MustEncode(&ack)}); err != nil {
		m.log.Debug("acknowledgement not sent; the next one covers it", "node", to.Name, "err", err)
	}
}

func (m *Mux) receiveAck(b []byte) error {
	var a wire.Ack
	if err := wire.Decode(b, &a); err != nil {
		return err
	}
	if a.To != m.cfg.Self.Incarnation {
		return nil // meant for an earlier life of this node
	}
	m.mu.Lock()
	over := m.heardLocked(a.From)
	if l := m.links[a.From]; l != nil {
		m.transmitLocked(l, l.out.acked(a.Seq, time.Now()))
	}
	m.mu.Unlock()
	for _, p := range over {
		m.lose(p)
	}
	return nil
}

// heardLocked notes a sign of life of an incarnation: at the first one, every earlier one under the name is over. It
// returns those that are to be lost because messages to them are on the way, and drops idle ones. What comes late of
// an earlier incarnation says nothing of a later one.
func (m *Mux) heardLocked(p wire.Peer) (over []wire.Peer) {
	if l := m.links[p]; l != nil {
		if l.heard {
			return nil
		}
		l.heard = true
	}
	m.lost[p.Name] = max(m.lost[p.Name], p.Incarnation-min(p.Incarnation, 1))
	for q, l := range m.links {
		if q.Name != p.Name || q.Incarnation >= p.Incarnation {
			continue
		}
		if len(l.out.frames) > 0 {
			over = append(over, q)
		} else {
			m.forgetLocked(q)
		}
	}
	return over
}

// gone hears from the transport that a peer has no inbox.
func (m *Mux) gone(msg bus.Msg) {
	if !msg.NoResponders {
		return
	}
	name := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().Before(m.settled) {
		return
	}
	for p, l := range m.links {
		if p.Name == name {
			l.out.gone(time.Now())
		}
	}
}

func (m *Mux) lose(p wire.Peer) {
	m.mu.Lock()
	had := m.forgetLocked(p)
	m.mu.Unlock()
	if had && m.cfg.Lost != nil {
		m.cfg.Lost(p)
	}
}

// ticks sends again what was lost and finds peers that are.
func (m *Mux) ticks() {
	t := time.NewTicker(tickEach)
	defer t.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-t.C:
		}
		now := time.Now()
		var lost []wire.Peer
		m.mu.Lock()
		for p, l := range m.links {
			again, gone := l.out.tick(now)
			if gone {
				lost = append(lost, p)
				continue
			}
			m.transmitLocked(l, again)
		}
		m.mu.Unlock()
		if len(lost) > 0 && !m.Connected() {
			continue // it is this node that hears nobody
		}
		for _, p := range lost {
			m.log.Info("peer is lost", "node", p.Name, "incarnation", p.Incarnation)
			m.lose(p)
		}
	}
}
