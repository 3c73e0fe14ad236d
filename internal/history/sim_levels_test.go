package history

import (
	"maps"
	"slices"
)

// lastWins is lww and rr: the highest stamp wins, in the store and in the nodes' caches, which are filled on demand and
// refreshed now and then.
type lastWins struct {
	s      *sim
	store  map[string]stamped
	caches []map[string]stamped
	repeat bool // rr
	bad    string
	stamps map[string]Stamp
}

type stamped struct {
	id    string
	stamp Stamp
}

func newLastWins(seed uint64, level, bad string) *sim {
	p := &lastWins{store: map[string]stamped{}, repeat: level == "rr", bad: bad, stamps: map[string]Stamp{}}
	p.s = newSim(seed, level, p)
	p.s.lossy, p.s.redo, p.s.keys = true, true, 10
	p.s.count, p.s.twice = level == "lww", bad == "re-executions are counted"
	for range p.s.nodes {
		p.caches = append(p.caches, map[string]stamped{})
	}
	return p.s
}

func (p *lastWins) cached(node int, key string) stamped {
	v, there := p.caches[node][key]
	if !there || p.s.rng.IntN(4) == 0 {
		v = p.store[key]
		p.caches[node][key] = v
	}
	return v
}

func (v stamped) values() []string {
	if v.id == "" {
		return nil
	}
	return []string{v.id}
}

func (p *lastWins) read(c *simCall, key string) []string {
	if !p.repeat {
		return p.cached(c.node, key).values()
	}
	if own := c.own[key]; len(own) > 0 && p.bad != "own writes forgotten" {
		last := slices.MaxFunc(own, func(a, b string) int { return p.stamps[a].Compare(p.stamps[b]) })
		return []string{last}
	}
	base, _ := c.run.base.(map[string]stamped)
	if base == nil {
		base = map[string]stamped{}
		c.run.base = base
	}
	if v, there := base[key]; there && p.bad != "no version kept" {
		return v.values()
	}
	base[key] = p.cached(c.node, key)
	return base[key].values()
}

func (p *lastWins) write(c *simCall, key, id string, applies bool) ([]string, Stamp) {
	st := Stamp{Time: uint64(p.s.now), Node: uint64(c.node)}
	known := p.caches[c.node][key].stamp
	for _, w := range c.know[key] {
		if p.stamps[w].Compare(known) > 0 {
			known = p.stamps[w]
		}
	}
	if st.Compare(known) <= 0 {
		st = Stamp{known.Time + 1, uint64(c.node)}
	}
	p.stamps[id] = st
	if applies {
		v := stamped{id, st}
		if p.store[key].stamp.Compare(st) < 0 {
			p.store[key] = v
		}
		if p.bad == "the last to arrive wins" {
			p.late(key, st)
		}
		p.caches[c.node][key] = p.store[key]
	}
	return nil, st
}

// late lets an older write arrive, as often as not.
func (p *lastWins) late(key string, than Stamp) {
	for _, o := range slices.Backward(p.s.h.Ops) {
		if o.Kind == Write && o.Key == key && o.Result == OK && o.Stamp.Compare(than) < 0 && p.s.rng.IntN(2) == 0 {
			p.store[key] = stamped{o.Values[0], o.Stamp}
			return
		}
	}
}

func (p *lastWins) end(*simRun) bool { return true }
func (p *lastWins) finals(s *sim) {
	s.final(s.nodes, func(node int, key string) []string {
		if node == 0 && p.bad == "a node does not hear" {
			return p.caches[0][key].values()
		}
		return p.store[key].values()
	})
}

// causal is sk, mk and dsc: versions are sets of writes, each of which knows what it replaced and what was before it.
type causal struct {
	s      *sim
	bad    string
	level  string
	writes map[string]*causalWrite
	store  set
	caches []set
}

type causalWrite struct {
	key      string
	replaces []string
	past     set // of its key alone at sk
}

func newCausal(seed uint64, level, bad string) *sim {
	p := &causal{level: level, bad: bad, writes: map[string]*causalWrite{}, store: set{}}
	p.s = newSim(seed, level, p)
	p.s.lossy, p.s.redo = true, true
	for range p.s.nodes {
		p.caches = append(p.caches, set{})
	}
	return p.s
}

// live gives what is shown of a key in a set of writes.
func (p *causal) live(in set, key string) []string {
	var shown []string
	replaced := set{}
	for w := range in {
		if p.writes[w].key == key {
			shown = append(shown, w)
			for _, r := range p.writes[w].replaces {
				replaced[r] = true
			}
		}
	}
	return unique(slices.DeleteFunc(shown, func(w string) bool { return replaced[w] && p.bad != "siblings never removed" }))
}

// refresh brings a node some of what the store has: single keys where writes depend on nothing else, or all.
func (p *causal) refresh(node int, key string) {
	if p.s.rng.IntN(3) > 0 {
		return
	}
	for w := range p.store {
		if p.level == "mk" && p.bad != "nodes take keys without what they depend on" || p.writes[w].key == key || p.level == "dsc" && p.bad != "snapshots key by key" {
			p.caches[node][w] = true
		}
	}
}

func (p *causal) closure(ids []string) set {
	all := set{}
	for _, w := range ids {
		all[w] = true
		all.addAll(p.writes[w].past)
	}
	return all
}

func (p *causal) read(c *simCall, key string) []string {
	p.refresh(c.node, key)
	cache := p.caches[c.node]
	switch p.level {
	case "sk":
		if p.bad != "sessions not carried along" {
			cache.addAll(p.closure(c.know[key]))
		}
		return p.live(cache, key)
	case "mk":
		return p.live(cache, key)
	}
	all := maps.Clone(p.snapshot(c, key))
	if p.bad != "own writes forgotten" {
		for _, own := range c.own {
			for _, w := range own {
				all[w] = true
			}
		}
	}
	return p.live(all, key)
}

// snapshot is what a run at dsc works on.
func (p *causal) snapshot(c *simCall, key string) set {
	switch p.bad {
	case "no snapshot":
		return p.caches[c.node]
	case "snapshots key by key":
		of, _ := c.run.base.(map[string]set)
		if of == nil {
			of = map[string]set{}
			c.run.base = of
		}
		if of[key] == nil {
			of[key] = maps.Clone(p.caches[c.node])
		}
		return of[key]
	}
	base, _ := c.run.base.(set)
	if base == nil {
		base = maps.Clone(p.caches[c.node])
		c.run.base = base
	}
	return base
}

func (p *causal) write(c *simCall, key, id string, applies bool) ([]string, Stamp) {
	w := &causalWrite{key: key, replaces: unique(c.know[key]), past: set{}}
	for k, known := range c.know {
		if k == key || p.level != "sk" {
			w.past.addAll(p.closure(known))
		}
	}
	if p.level == "dsc" && p.bad == "" {
		w.past.addAll(p.snapshot(c, key))
	}
	p.writes[id] = w
	if !applies {
		return w.replaces, Stamp{}
	}
	all := p.closure([]string{id})
	p.caches[c.node].addAll(all)
	if p.bad == "the last write wins" {
		maps.DeleteFunc(p.store, func(v string, _ bool) bool { return p.writes[v].key == key })
	}
	p.store.addAll(all)
	return w.replaces, Stamp{}
}

func (p *causal) end(*simRun) bool { return true }
func (p *causal) finals(s *sim) {
	s.final(s.nodes, func(_ int, key string) []string { return p.live(p.store, key) })
}

// cellProto is strong: one copy.
type cellProto struct {
	s     *sim
	bad   string
	state map[string][]string
	old   map[string][]string
}

func newCells(seed uint64, bad string) *sim {
	p := &cellProto{bad: bad, state: map[string][]string{}, old: map[string][]string{}}
	p.s = newSim(seed, "strong", p)
	p.s.lossy, p.s.redo, p.s.count, p.s.twice = true, true, true, bad == "re-executions are counted"
	return p.s
}

func (p *cellProto) read(_ *simCall, key string) []string {
	if p.bad == "replicas are read" && p.s.rng.IntN(10) == 0 {
		return p.old[key]
	}
	return p.state[key]
}

func (p *cellProto) write(_ *simCall, key, id string, applies bool) ([]string, Stamp) {
	lost := p.bad == "writes get lost" && p.s.rng.IntN(20) == 0
	if applies && !lost {
		p.old[key], p.state[key] = p.state[key], []string{id}
	}
	return nil, Stamp{}
}

func (p *cellProto) end(*simRun) bool { return true }
func (p *cellProto) finals(s *sim) {
	s.final(0, func(_ int, key string) []string { return p.state[key] })
}

// optimistic is txn: reads are checked, and writes applied, at one moment at the end.
type optimistic struct {
	s     *sim
	bad   string
	state map[string][]string
}

// txnState is what a transaction has read and would write.
type txnState struct {
	read   map[string][]string
	writes map[string]string
	keys   []string // of writes, in order
}

func newOptimistic(seed uint64, bad string) *sim {
	p := &optimistic{bad: bad, state: map[string][]string{}}
	p.s = newSim(seed, "txn", p)
	return p.s
}

func (p *optimistic) of(r *simRun) *txnState {
	t, _ := r.base.(*txnState)
	if t == nil {
		t = &txnState{map[string][]string{}, map[string]string{}, nil}
		r.base = t
	}
	return t
}

func (p *optimistic) read(c *simCall, key string) []string {
	t := p.of(c.run)
	if w := t.writes[key]; w != "" {
		return []string{w}
	}
	if v, again := t.read[key]; again {
		return v
	}
	t.read[key] = p.state[key]
	return t.read[key]
}

func (p *optimistic) write(c *simCall, key, id string, _ bool) ([]string, Stamp) {
	replaces := p.read(c, key)
	t := p.of(c.run)
	t.writes[key] = id
	t.keys = append(t.keys, key)
	if p.bad == "writes are visible at once" {
		p.state[key] = []string{id}
	}
	return replaces, Stamp{}
}

func (p *optimistic) end(r *simRun) bool {
	t := p.of(r)
	for key, v := range t.read {
		_, written := t.writes[key]
		unchecked := p.bad == "reads are not checked" && !written || p.bad == "nothing is checked" || p.bad == "writes are visible at once"
		if !unchecked && !slices.Equal(p.state[key], v) {
			return false
		}
	}
	for key, w := range t.writes {
		p.state[key] = []string{w}
	}
	return true
}

func (p *optimistic) finals(s *sim) {
	s.final(0, func(_ int, key string) []string { return p.state[key] })
}
