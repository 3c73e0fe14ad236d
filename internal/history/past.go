package history

import (
	"cmp"
	"slices"
)

// The causal past of operations, as far as it matters: which versions of keys are in it, and which of them are outdated.
//
// A session here is a call of a few operations, so vector timestamps would have as many entries as there are calls.
// Instead the versions that reads show are taken in blocks, in the order in which they were made, and the graph is walked
// once for each block, with three bits a version at each operation: it is in the past, it is outdated there, it was
// replaced there. A walk goes from where the first version of its block was made to where the last one is read. So the
// cost is operations times versions over 512 at worst, when versions are read for as long as the history lasts, and
// close to linear when they are soon overwritten.

const (
	blockWords = 8
	blockBits  = 64 * blockWords
)

type plane [blockWords]uint64

func (p *plane) has(bit int32) bool { return p[bit>>6]&(1<<(bit&63)) != 0 }
func (p *plane) set(bit int32)      { p[bit>>6] |= 1 << (bit & 63) }

// known is what the past of an operation has of a block's versions.
type known struct {
	in       plane // the version is there
	outdated plane // so is another write of its key that is causally after it
	replaced plane // so is a write that replaced it
}

func (k *known) add(o *known) {
	for w := range blockWords {
		k.in[w] |= o.in[w]
		k.outdated[w] |= o.outdated[w]
		k.replaced[w] |= o.replaced[w]
	}
}

// past is a graph with the versions that its reads show.
type past struct {
	*graph
	writes   []int32   // the key that a node writes, by its number, if some read shows that key; else -1
	version  []int32   // the version that a node made; -1 if it made none, or one that no read shows
	asks     lists     // the versions that a read shows. Of nothing: the key's initial one, and all deletes
	versions []version // in the order of blocks
	askers   lists     // the reads that show a version
}

// version is one version of a key.
type version struct {
	key   int32 // its number
	maker int32 // the node that wrote it; -1 of the initial one, which is in every past
	until int32 // the last node that matters for judging the reads that show it
}

// newPast prepares a graph for judging the reads that of names. until gives the last node that matters for judging one.
func newPast(g *graph, of func(n int32) bool, until func(n int32) int32) *past {
	c := g.c
	p := &past{graph: g, writes: make([]int32, len(g.op)), version: make([]int32, len(g.op))}
	keys := map[int32]int32{} // of those that are read
	for n := range int32(len(g.op)) {
		p.version[n] = -1
		if o := &c.ops[g.op[n]]; o.Kind == Read && o.Result == OK && !c.thin[g.op[n]] && of(n) {
			number(keys, o.key)
		}
	}
	deletes := make([][]int32, len(keys)) // nodes
	for n := range int32(len(g.op)) {
		p.writes[n] = -1
		o := &c.ops[g.op[n]]
		if k, read := keys[o.key]; read && o.writes() {
			p.writes[n] = k
			if o.Kind == Delete && o.Result != Failed {
				deletes[k] = append(deletes[k], n)
			}
		}
	}
	initial := make([]int32, len(keys))
	for k := range initial {
		initial[k] = -1
	}
	ask := func(at *int32, key, maker, last int32) {
		if *at < 0 {
			*at = int32(len(p.versions))
			p.versions = append(p.versions, version{key: key, maker: maker})
		}
		v := &p.versions[*at]
		v.until = max(v.until, last)
		p.asks.all = append(p.asks.all, *at)
	}
	for n := range int32(len(g.op)) {
		if o := &c.ops[g.op[n]]; o.Kind == Read && o.Result == OK && !c.thin[g.op[n]] && of(n) {
			k, last := keys[o.key], max(n, until(n))
			for _, w := range g.saw.of(n) {
				ask(&p.version[w], k, w, last)
			}
			if len(o.vals) == 0 {
				ask(&initial[k], k, -1, last)
				for _, d := range deletes[k] {
					if c.ops[g.op[d]].Begin <= o.End {
						ask(&p.version[d], k, d, last)
					}
				}
			}
		}
		p.asks.end()
	}
	p.orderVersions()
	return p
}

// orderVersions numbers the versions so that those of a block are made and read at about the same time.
func (p *past) orderVersions() {
	far := int32(len(p.op) / 8)
	order := make([]int32, len(p.versions))
	for i := range order {
		order[i] = int32(i)
	}
	lasting := func(v *version) int {
		if v.until-v.maker > far {
			return 1
		}
		return 0
	}
	slices.SortFunc(order, func(a, b int32) int {
		x, y := &p.versions[a], &p.versions[b]
		return cmp.Or(cmp.Compare(lasting(x), lasting(y)), cmp.Compare(x.maker, y.maker), cmp.Compare(a, b))
	})
	sorted, now := make([]version, len(order)), make([]int32, len(order))
	for i, old := range order {
		sorted[i], now[old] = p.versions[old], int32(i)
	}
	p.versions = sorted
	p.askers.at = make([]int32, len(order)+2)
	for i, v := range p.asks.all {
		p.asks.all[i] = now[v]
		p.askers.at[now[v]+2]++
	}
	for n, v := range p.version {
		if v >= 0 {
			p.version[n] = now[v]
		}
	}
	for i := 2; i < len(p.askers.at); i++ {
		p.askers.at[i] += p.askers.at[i-1]
	}
	p.askers.all = make([]int32, len(p.asks.all))
	for n := range int32(len(p.op)) {
		for _, v := range p.asks.of(n) {
			p.askers.all[p.askers.at[v+1]] = n
			p.askers.at[v+1]++
		}
	}
}

// block is what the nodes know of the versions from lo up to hi.
type block struct {
	*past
	lo, hi     int32
	start, end int32   // the nodes that were walked; those before know nothing of these versions
	after      []known // of each of them: its past and itself
	readers    []int32 // the reads that show one of the versions, by node
	mask       map[int32]*keyMask
}

// keyMask says which versions of a block are of one key.
type keyMask struct {
	all     plane
	initial int32 // bit; -1 if it is not among them
}

// walk walks the graph once for each block of versions. At each read that shows one of them, before is called with what
// its session knew before; when a block is complete, done.
func (p *past) walk(before func(b *block, n int32, k *known), done func(b *block)) {
	b := &block{past: p, after: make([]known, len(p.op))}
	walked := make([]int32, len(p.op)) // the last block in which a read was asked, from 1 on
	for turn := int32(1); b.hi < int32(len(p.versions)); turn++ {
		b.lo, b.hi = b.hi, min(b.hi+blockBits, int32(len(p.versions)))
		b.begin(walked, turn)
		for n := b.start; n < b.end; n++ {
			k := &b.after[n]
			*k = known{}
			for _, m := range p.session.of(n) {
				if m >= b.start {
					k.add(&b.after[m])
				}
			}
			if walked[n] == turn {
				before(b, n, k)
			}
			for _, m := range p.saw.of(n) {
				if m >= b.start {
					k.add(&b.after[m])
				}
			}
			if p.writes[n] >= 0 {
				b.write(n, k)
			}
		}
		done(b)
	}
}

func (b *block) begin(walked []int32, turn int32) {
	b.start, b.end = int32(len(b.op)), 0
	b.readers, b.mask = b.readers[:0], map[int32]*keyMask{}
	for v := b.lo; v < b.hi; v++ {
		x := &b.versions[v]
		b.start, b.end = min(b.start, max(x.maker, 0)), max(b.end, x.until+1)
		m := b.mask[x.key]
		if m == nil {
			m = &keyMask{initial: -1}
			b.mask[x.key] = m
		}
		m.all.set(v - b.lo)
		if x.maker < 0 {
			m.initial = v - b.lo
		}
		for _, n := range b.askers.of(v) {
			if walked[n] != turn {
				walked[n] = turn
				b.readers = append(b.readers, n)
			}
		}
	}
	slices.Sort(b.readers)
}

// write adds a write to what is known before it.
func (b *block) write(n int32, k *known) {
	m := b.mask[b.writes[n]]
	if m == nil {
		return
	}
	for w := range blockWords {
		k.outdated[w] |= k.in[w] & m.all[w]
	}
	if m.initial >= 0 {
		k.outdated.set(m.initial)
	}
	for _, u := range b.saw.of(n) {
		if v := b.version[u]; v >= b.lo && v < b.hi {
			k.replaced.set(v - b.lo)
		}
	}
	if v := b.version[n]; v >= b.lo && v < b.hi {
		k.in.set(v - b.lo)
	}
}

// stale is how a read stands against a past, block after block.
type stale struct {
	outdated int32 // how many of the versions that it shows
	replaced bool
	version  int32 // one that is outdated or replaced, and
	by       int32 // the node of the write that outdates it; -1 where there is none
}

// is reports whether what the read shows is older than a write of the past.
func (s *stale) is(asks []int32) bool {
	return s.by >= 0 && (s.replaced || int(s.outdated) == len(asks))
}

// note notes what a past says of a read in this block; find looks for the write that outdates a version, and gives -1 if
// that does not count.
func (b *block) note(s *stale, n int32, k *known, find func(version int32) int32) {
	for _, v := range b.asks.of(n) {
		if v < b.lo || v >= b.hi || !k.outdated.has(v-b.lo) {
			continue
		}
		by := find(v)
		if by < 0 {
			continue
		}
		s.outdated++
		replaced := k.replaced.has(v - b.lo)
		if s.by < 0 || replaced && !s.replaced {
			s.version, s.by = v, by
		}
		s.replaced = s.replaced || replaced
	}
}

// outdater finds a write that outdates the version and is in the past of one of from, following what their nodes know.
// skip tells which writes do not count, nil none.
func (b *block) outdater(version int32, from []int32, skip func(n int32) bool) int32 {
	bit, v := version-b.lo, &b.versions[version]
	seen := map[int32]bool{}
	for todo := slices.Clone(from); len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n < b.start || seen[n] || !b.after[n].outdated.has(bit) {
			continue
		}
		seen[n] = true
		if b.writes[n] == v.key && n != v.maker && (v.maker < 0 || b.after[n].in.has(bit)) && (skip == nil || !skip(n)) {
			return n
		}
		todo = append(append(todo, b.session.of(n)...), b.saw.of(n)...)
	}
	return -1
}
