package peer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

const (
	// askWait is how long another node may take; who asks for a value then asks the store, which may be slow for it too.
	askWait = 3 * time.Second
	// inline is the longest value that an answer carries itself.
	inline = 128 << 10
	// capabilityFor is how long what an answer points to can be fetched.
	capabilityFor = time.Minute
)

// Config of Peers. The fields without a documented default are required.
type Config struct {
	Name      string // of this node
	Namespace string
	Bus       bus.Bus
	Secret    xfer.Secret // that the namespace's nodes share
	// Listen is where the data port listens, host:port; "" is loopback, any port. Announce is how others reach it; "" is
	// where it listens.
	Listen, Announce string
	// Listener and Dial take the place of TCP; nil for TCP.
	Listener net.Listener
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	// Hold has the values that this node's executor holds for others; nil for none. New tells it the data port's address.
	Hold *offload.Hold
	// Wall is the node's wall clock, which is compared with the others'; nil is time.Now.
	Wall   func() time.Time
	Logger *slog.Logger // nil discards
}

// Peers are the other nodes' caches, and this node's for them. Safe for concurrent use.
type Peers struct {
	cfg      Config
	log      *slog.Logger
	subjects wire.Subjects
	fleet    *fleet
	server   *xfer.Server
	client   *xfer.Client
	subs     []bus.Subscription
	work     sync.WaitGroup
	life     context.Context
	end      context.CancelFunc
	slots    chan struct{} // bounds the questions under way
	given    *given

	mu      sync.Mutex // guards what follows
	cache   *cache.Cache
	deposit func(ctx context.Context, ref xfer.Ref) error
	closed  bool
}

var _ cache.Peers = (*Peers)(nil)

// New joins; Serve says for which cache, and Close leaves.
func New(cfg Config) (*Peers, error) {
	p := &Peers{
		cfg: cfg, log: cfg.Logger, subjects: wire.In(cfg.Namespace), fleet: newFleet(cfg.Name),
		slots: make(chan struct{}, mostQuestions), given: newGiven(),
	}
	if p.cfg.Wall == nil {
		p.cfg.Wall = time.Now
	}
	if p.log == nil {
		p.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	p.life, p.end = context.WithCancel(context.Background())
	var err error
	p.server, err = xfer.NewServer(xfer.ServerConfig{
		Source: source{p}, Namespace: cfg.Namespace, Secrets: []xfer.Secret{cfg.Secret}, Address: cfg.Listen, Listener: cfg.Listener, Announce: cfg.Announce, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	if cfg.Hold != nil {
		cfg.Hold.At(p.server.Addr())
	}
	if p.client, err = xfer.NewClient(xfer.ClientConfig{Dial: cfg.Dial}); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	for subject, h := range map[string]bus.Handler{
		p.subjects.Heartbeats():    p.heartbeat,
		p.subjects.Cache(cfg.Name): p.asked,
	} {
		sub, err := cfg.Bus.Subscribe(subject, "", h)
		if err != nil {
			return nil, errors.Join(fault.New(fault.Unreachable, "join the other caches: %w", err), p.Close())
		}
		p.subs = append(p.subs, sub)
	}
	return p, nil
}

// mostQuestions bounds the questions of others that are being answered at a time; past it they are told to ask the store.
const mostQuestions = 256

// Serve gives the others the cache that answers them.
func (p *Peers) Serve(c *cache.Cache) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cache = c
}

// Port is the data port's address as others dial it.
func (p *Peers) Port() string { return p.server.Addr() }

// Skew is how far this node's clock is off the fleet's median; 0 while there are fewer than two others to tell.
func (p *Peers) Skew() time.Duration { return p.fleet.offset() }

// Links are the speeds at which values came from others' data ports.
func (p *Peers) Links() []xfer.Link { return p.client.Links() }

// Close leaves and waits for questions under way. Idempotent.
func (p *Peers) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	for _, s := range p.subs {
		_ = s.Unsubscribe() // only fails on a bus that is closed already
	}
	p.end()
	p.work.Wait()
	if p.client != nil {
		p.client.Close()
	}
	return p.server.Close()
}

func (p *Peers) heartbeat(m bus.Msg) {
	now := p.cfg.Wall()
	var hb wire.Heartbeat
	if err := wire.Decode(m.Data, &hb); err != nil {
		p.log.Warn("heartbeat refused", "err", err)
		return
	}
	p.fleet.heard(&hb, now)
}

// Owner implements cache.Peers.
func (p *Peers) Owner(app string, key kvs.Key) string {
	owners := p.fleet.owners(app, string(key), 1, p.cfg.Wall())
	if len(owners) == 0 || owners[0] == p.cfg.Name {
		return ""
	}
	return owners[0]
}

// Owners implements cache.Peers.
func (p *Peers) Owners(app string, key kvs.Key, n int) []string {
	return p.fleet.owners(app, string(key), n, p.cfg.Wall())
}

// Fetch implements cache.Peers.
func (p *Peers) Fetch(ctx context.Context, node, app string, key kvs.Key) (v *version.Version, spread int, err error) {
	return p.version(ctx, node, key, &wire.Ask{Kind: wire.AskOwned, App: app, Key: string(key), Port: p.Port()})
}

// Pinned implements cache.Peers.
func (p *Peers) Pinned(ctx context.Context, node, run string, key kvs.Key, r session.Read) (*version.Version, error) {
	body, err := cbor.Marshal(&r)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode what a run has read: %w", err)
	}
	v, _, err := p.version(ctx, node, key, &wire.Ask{Kind: wire.AskPinned, Run: run, Key: string(key), Body: body})
	if err != nil && ctx.Err() == nil && !fault.Is(err, fault.SnapshotLost) {
		return nil, fault.New(fault.SnapshotLost, "node %s, where the run has read key %.64q, does not answer: %w", node, string(key), err)
	}
	return v, err
}

// Claim implements cache.Peers.
func (p *Peers) Claim(ctx context.Context, home, run string, m cache.Claim) (cache.Claimed, error) {
	var out cache.Claimed
	body, err := cbor.Marshal(&m)
	if err != nil {
		return out, fault.New(fault.Internal, "encode what a run wants to see: %w", err)
	}
	told, err := p.ask(ctx, home, &wire.Ask{Kind: wire.AskClaim, Run: run, Key: string(m.Key), Body: body})
	if err == nil {
		err = decoder.Unmarshal(told.Body, &out)
	}
	if err != nil && ctx.Err() == nil {
		err = fault.New(fault.SnapshotLost, "node %s, which decides what the run sees, does not answer: %w", home, err)
	}
	return out, err
}

var decoder = func() cbor.DecMode {
	m, err := cbor.DecOptions{MaxNestedLevels: 8, MaxArrayElements: 1 << 16, UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

func (p *Peers) ask(ctx context.Context, node string, q *wire.Ask) (*wire.Told, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	return p.request(ctx, node, q)
}

func (p *Peers) request(ctx context.Context, node string, q *wire.Ask) (*wire.Told, error) {
	b, err := wire.Encode(q)
	if err != nil {
		return nil, err
	}
	out, err := p.cfg.Bus.Request(ctx, p.subjects.Cache(node), b)
	if err != nil {
		return nil, fault.New(fault.Unreachable, "node %s does not answer: %w", node, err)
	}
	told := &wire.Told{}
	if err := wire.Decode(out, told); err != nil {
		return nil, err
	}
	if told.Err != nil {
		return nil, told.Err
	}
	return told, nil
}

// version asks for a version and fetches its value where it is not in the answer.
func (p *Peers) version(ctx context.Context, node string, key kvs.Key, q *wire.Ask) (v *version.Version, spread int, err error) {
	told, err := p.ask(ctx, node, q)
	if err != nil {
		return nil, 0, err
	}
	var e entry
	if err := decoder.Unmarshal(told.Body, &e); err != nil {
		return nil, 0, fault.New(fault.Unsupported, "the answer of node %s does not decode: %w", node, err)
	}
	if told.Port != "" {
		ports := append([]string{told.Port}, told.Others...)
		e.Payload, err = p.client.Fetch(ctx, ports, xfer.Ref{Key: string(key), Version: told.Ref}, told.Capability, told.Size)
		if err != nil {
			return nil, 0, err
		}
	}
	v, err = e.version(key)
	return v, e.Spread, err
}

// entry is a version as it travels: what the store has of it, whose meaning lies in Meta.
type entry struct {
	Revision kvs.Revision `cbor:"1,keyasint,omitempty"`
	Kind     value.Kind   `cbor:"2,keyasint,omitempty"`
	Payload  []byte       `cbor:"3,keyasint,omitempty"`
	Meta     []byte       `cbor:"4,keyasint,omitempty"`
	Written  int64        `cbor:"5,keyasint,omitempty"` // Unix nanoseconds; 0: not stored
	Expires  int64        `cbor:"6,keyasint,omitempty"`
	Absent   bool         `cbor:"7,keyasint,omitempty"`
	Spread   int          `cbor:"8,keyasint,omitempty"` // over how many of its owners the key is to be read
}

func (e *entry) version(key kvs.Key) (*version.Version, error) {
	v, err := value.FromPayload(e.Kind, e.Payload)
	if err != nil {
		return nil, err
	}
	x := kvs.Entry{Key: key, Value: v, Revision: max(e.Revision, 1), Meta: e.Meta, Deleted: e.Absent}
	if e.Written != 0 {
		x.Written = time.Unix(0, e.Written)
	}
	if e.Expires != 0 {
		x.Expires = time.Unix(0, e.Expires)
	}
	out, err := version.Open(x)
	if err != nil {
		return nil, err
	}
	out.Revision = e.Revision
	return out, nil
}

// entryOf is version's inverse.
func entryOf(v *version.Version) (*entry, error) {
	w, err := v.Write(kvs.AnyRevision)
	if err != nil {
		return nil, err
	}
	e := &entry{Revision: v.Revision, Meta: w.Options.Meta, Absent: v.Absent}
	if !v.Written.IsZero() {
		e.Written = v.Written.UnixNano()
	}
	if !v.Expires.IsZero() {
		e.Expires = v.Expires.UnixNano()
	}
	e.Kind, e.Payload, err = w.Value.Payload()
	return e, err
}
