package cache

import (
	"math/rand/v2"
	"sync/atomic"
)

// Of which share of its Gets a cachelet takes note: of all while they are few, of one in dense while they are many, and of one
// in sparse while, besides, nothing has to leave and nobody is refused, so that it is not needed yet to know which keys are
// worth more. TinyLFU only compares how often keys are read relative to each other, which stays the same in a sample that is
// drawn at random. What is counted is counted for those that are left out too.
const (
	dense  = 8
	sparse = 64
	// crowd noted Gets within half a second are many.
	crowd = 4096
)

// sampler draws the Gets of which a cachelet takes note.
type sampler struct {
	mask  atomic.Uint32 // one in mask+1, a power of two. Every Get reads it
	_     [60]byte      // and what follows is written to
	noted atomic.Uint32 // since the last tick, or since mask has changed
}

// draw gives of how many Gets one is noted, if this is it, and else 0.
func (p *sampler) draw() uint32 {
	mask := p.mask.Load()
	if rand.Uint32()&mask != 0 {
		return 0
	}
	return mask + 1
}

// thin is told of each Get that is noted.
func (p *sampler) thin(most uint32) {
	if p.noted.Add(1) >= crowd {
		p.noted.Store(0)
		p.mask.Store(min(2*p.mask.Load()+1, most-1))
	}
}

// tick is called twice a second.
func (p *sampler) tick(most uint32) {
	mask := min(p.mask.Load(), most-1)
	if p.noted.Swap(0) < crowd/4 {
		mask /= 2
	}
	p.mask.Store(mask)
}

// sparsest is the smallest share of the Gets, as one in so many, that will do.
func (l *Cachelet) sparsest() uint32 {
	if c := l.capacity.Load(); l.bytes.Load() < c-c/8 {
		return sparse
	}
	return dense
}

// hear lets ristretto, and the record of what the application uses, know of a Get that stands for so many. v is what it has
// found, nil for nothing.
func (l *Cachelet) hear(s *shard, h uint64, v *item, every uint32) {
	now := l.c.cachelets.tick.Load()
	l.accesses.Add(uint64(every))
	if v != nil {
		s.hits.Add(uint64(every))
		l.hits.Add(uint64(every))
		v.heard.Add(uint64(every))
		v.last.Store(uint32(now))
	}
	l.use()
	l.sampler.thin(l.sparsest())
	s.hearing.Add(1)
	if !l.c.closed.Load() && !l.gone.Load() {
		l.policy.Get(h)
	}
	s.hearing.Add(-1)
}
