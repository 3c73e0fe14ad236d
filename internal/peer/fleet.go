package peer

import (
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/wire"
)

// forgetAfter is how long a node may be silent before keys are read through others.
const forgetAfter = 2 * time.Second

// fleet is who is there. It is pure: the time comes in. Safe for concurrent use.
type fleet struct {
	self string

	mu    sync.RWMutex // guards what follows
	nodes map[string]*node
	skew  hlc.Skew
	off   time.Duration
}

type node struct {
	peer  wire.Peer
	port  string
	apps  []string
	heard time.Time
	up    bool
	hash  uint64
}

func newFleet(self string) *fleet { return &fleet{self: self, nodes: map[string]*node{}} }

// heard takes in a heartbeat.
func (f *fleet) heard(hb *wire.Heartbeat, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[hb.From.Name]
	if n == nil {
		n = &node{hash: xxhash.Sum64String(hb.From.Name)}
		f.nodes[hb.From.Name] = n
	}
	if hb.From.Incarnation < n.peer.Incarnation {
		return // of an earlier life
	}
	n.peer, n.port, n.apps, n.heard = hb.From, hb.Port, hb.Apps, now
	n.up = hb.Condition == wire.Up
	if hb.From.Name != f.self && hb.Now != 0 {
		f.skew.Sample(hb.From.Name, time.Unix(0, hb.Now), now)
	}
	f.off, _ = f.skew.Offset(now)
}

// offset is how far this node's clock is off the fleet's median.
func (f *fleet) offset() time.Duration {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.off
}

// owners are the first n nodes to read a key through, the owner first: of those where the application has a cachelet, or of
// all where none says so.
func (f *fleet) owners(app string, key string, n int, now time.Time) []string {
	h := xxhash.Sum64String(key)
	f.mu.RLock()
	defer f.mu.RUnlock()
	type ranked struct {
		name  string
		score uint64
	}
	var with, all []ranked
	for name, x := range f.nodes {
		if !x.up || now.Sub(x.heard) > forgetAfter {
			continue
		}
		r := ranked{name, mix(h ^ x.hash)}
		all = append(all, r)
		if name == f.self || slices.Contains(x.apps, app) {
			with = append(with, r)
		}
	}
	if len(with) > 1 {
		all = with
	}
	slices.SortFunc(all, func(a, b ranked) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	out := make([]string, 0, n)
	for _, r := range all[:min(n, len(all))] {
		out = append(out, r.name)
	}
	return out
}

// portOf gives a node's data port; "" of one that is silent.
func (f *fleet) portOf(name string, now time.Time) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if n := f.nodes[name]; n != nil && now.Sub(n.heard) <= forgetAfter {
		return n.port
	}
	return ""
}

// mix spreads a hash's bits (the finaliser of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
