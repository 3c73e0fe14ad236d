package cache

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache/reuse"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// Peers are the caches of the other nodes.
type Peers interface {
	// Owner names the node that a key is read through, by rendezvous hashing over the nodes of an application; "" is this
	// node, or none.
	Owner(app string, key kvs.Key) string
	// Owners names the first n nodes for a key in the order of that hashing, Owner's first, fewer where there are fewer. This
	// node is among them under its own name.
	Owners(app string, key kvs.Key, n int) []string
	// Fetch reads a key through another node, which answers with Cache.Owned: with spread over how many Owners the key
	// should be read.
	Fetch(ctx context.Context, node, app string, key kvs.Key) (v *version.Version, spread int, err error)
	// Pinned gets a version that a run has read on another node.
	Pinned(ctx context.Context, node, run string, key kvs.Key, r session.Read) (*version.Version, error)
	// Claim asks a run's version home.
	Claim(ctx context.Context, home, run string, m Claim) (Claimed, error)
}

// askPeer reads a key through its owner, or another of the nodes that the owner has named; nil where nobody there has it,
// or has one that is new enough: the store knows.
func (l *Cachelet) askPeer(ctx context.Context, v *visit) *item {
	c := l.c
	if c.cfg.Peers == nil {
		return nil
	}
	node, owner := c.spread.whom(l.app, v.key)
	if node == "" {
		return nil
	}
	v.s.mu.Lock()
	trusted := v.s.distrust < v.began.UnixNano()
	v.s.mu.Unlock()
	if !trusted {
		return nil
	}
	got, spread, err := c.cfg.Peers.Fetch(ctx, node, l.app, v.key)
	if err != nil {
		return nil
	}
	if owner { // others see only their part of the reads
		c.spread.hint(v.key, spread)
	}
	if got.Absent || got.Revision == 0 || v.s.belowFloor(got) {
		return nil
	}
	at := got.Written
	if at.IsZero() { // its writer had it
		at = time.Unix(0, 0)
	}
	it, err := itemOf(got, at)
	if err != nil {
		return nil
	}
	c.met(got)
	c.cachelets.peerReads.Add(1)
	return it
}

// Owned reads a key for a peer that takes this node for its owner: from memory where that was confirmed lately, else from
// the store, and keeps it. spread is over how many of the key's owners (Peers.Owners) it should be read from now on, so
// that this node is not busy with it alone; 1 for most.
func (c *Cache) Owned(ctx context.Context, app string, key kvs.Key) (v *version.Version, spread int, err error) {
	l, err := c.cachelets.get(app)
	if err != nil {
		return nil, 1, err
	}
	it := c.peek(key)
	if it == nil || it.dirty || it.expired() || !c.current(it, 0) {
		if it, err = l.fresh(ctx, key); err != nil {
			return nil, 1, err
		}
	}
	switch {
	case it.Absent || it.expired():
		return nil, 1, notFound(key)
	case it.dirty:
		return nil, 1, fault.New(fault.Unavailable, "key %.64q has a write on its owner that is not stored yet: ask the store", string(key))
	}
	return &it.Version, c.spread.served(app, key, it.cost), nil
}

const (
	// DefaultBandwidth is that of Config.Bandwidth.
	DefaultBandwidth = 512 << 20
	// mostOwners bounds over how many nodes one key is spread.
	mostOwners = 16
	// spreadEvery is how often it is decided anew.
	spreadEvery = 2 * time.Second
	// hints is for how many keys a reader remembers over how many nodes they are spread, and hintFor how long.
	hints   = 1024
	hintFor = 10 * time.Second
)

// spreads has hot and large keys read through several nodes (Faa$T §4, bandwidth). Their owner notices which they are, and
// says so with each answer. Whoever has heard it asks one of the first nodes, drawn at random; that one reads the key from
// the store once, and has it from then on.
type spreads struct {
	c      *Cache
	policy reuse.Spread
	hot    *reuse.Hot
	wide   atomic.Pointer[map[string]int] // what is spread over more than its owner, by name

	mu     sync.Mutex // guards hinted
	hinted *recent.Window[kvs.Key, hinted]
}

type hinted struct {
	over  int
	until time.Time
}

func (p *spreads) init(c *Cache) {
	p.c, p.policy = c, reuse.Spread{Bandwidth: c.cfg.Bandwidth}
	p.hot = reuse.NewHot(reuse.HotConfig{ByBytes: true})
	p.wide.Store(&map[string]int{})
	p.hinted = recent.New[kvs.Key, hinted](hints)
}

// whom names the node to read a key through, and whether that is its owner; "" is the store.
func (p *spreads) whom(app string, key kvs.Key) (node string, owner bool) {
	p.mu.Lock()
	h, ok := p.hinted.Get(key)
	p.mu.Unlock()
	if !ok || h.over < 2 || time.Now().After(h.until) {
		return p.c.cfg.Peers.Owner(app, key), true
	}
	owners := p.c.cfg.Peers.Owners(app, key, h.over)
	if len(owners) == 0 {
		return "", false
	}
	at := rand.IntN(len(owners))
	if owners[at] == p.c.cfg.Node {
		return "", false // this node serves it now
	}
	return owners[at], at == 0
}

// hint remembers over how many nodes a key's owner wants it to be spread.
func (p *spreads) hint(key kvs.Key, over int) {
	if over < 2 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hinted.Add(key, hinted{min(over, mostOwners), time.Now().Add(hintFor)})
}

// served notes that a key was given to a peer, and gives over how many nodes it is spread.
func (p *spreads) served(app string, key kvs.Key, bytes int64) (over int) {
	name := app + "\x00" + string(key)
	p.hot.Touch(name, bytes)
	return max((*p.wide.Load())[name], 1)
}

// decide looks at what was served since it did so last.
func (p *spreads) decide(since time.Duration) {
	if p.c.cfg.Peers == nil {
		return
	}
	old, next := *p.wide.Load(), make(map[string]int)
	for _, o := range p.hot.Top(reuse.DefaultHotKeys) {
		app, key, _ := strings.Cut(o.Name, "\x00")
		have := max(old[o.Name], 1)
		// What was counted in earlier epochs counts half, and half again; and this node sees one part of have of all reads.
		rate := o.Touches / 2 / since.Seconds() * float64(have)
		nodes := len(p.c.cfg.Peers.Owners(app, kvs.Key(key), mostOwners))
		if n := p.policy.Next(have, rate, o.Bytes, nodes); n > 1 {
			next[o.Name] = n
		}
	}
	p.hot.Advance()
	p.wide.Store(&next)
}
