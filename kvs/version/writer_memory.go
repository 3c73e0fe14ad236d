package version

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// smallState is up to how many bytes a lattice's state is remembered; a key with a larger one is read before each write.
const smallState = 512

// memory is what a Writer knows of keys. It is a hint: every write finds out whether it is right.
type memory struct {
	mu    sync.Mutex // guards what follows
	keys  *simplelru.LRU[kvs.Key, *known]
	novel int // keys in a row that were asked for before their first write, or written without asking, and were not there
}

// novelRun is after how many new keys in a row the next one is taken for new without asking: who loads records then pays
// for one request each, and who guesses wrong for one refusal, once.
const novelRun = 8

// met counts a key that was asked for before its first write, or taken for new, by whether it was there.
func (m *memory) met(there bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if there {
		m.novel = 0
	} else {
		m.novel = min(m.novel+1, novelRun)
	}
}

// expectNovel reports whether a key that nothing is known of is probably new.
func (m *memory) expectNovel() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.novel == novelRun
}

// known is of one key. v is nil where only the clock is known, and without its value where it is a register.
type known struct {
	v    *Version
	seen lattice.VectorClock // what the session has read or written of the siblings
}

func (m *memory) init(size int) {
	m.keys, _ = simplelru.NewLRU[kvs.Key, *known](size, nil) // fails for sizes below one
}

func (m *memory) atLocked(key kvs.Key) *known {
	k, ok := m.keys.Get(key)
	if !ok {
		k = &known{}
		m.keys.Add(key, k)
	}
	return k
}

// learn keeps what the store has, unless something later is known.
func (m *memory) learn(v *Version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.atLocked(v.Key)
	if k.v != nil && k.v.Revision >= v.Revision && v.Revision != 0 { // most reads find what was known
		return
	}
	small := *v
	if small.State == nil {
		small.Value = value.Value{}
	} else if small.State.Size() > smallState {
		k.v = nil
		return
	}
	k.v = &small
}

// recall gives what is remembered, nil for nothing; bare says that it is without its value.
func (m *memory) recall(key kvs.Key) (v *Version, bare bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys.Get(key)
	if !ok || k.v == nil {
		return nil, false
	}
	return k.v, k.v.State == nil && !k.v.Absent
}

// forget drops what is known of the store's version; what the session has seen stays.
func (m *memory) forget(key kvs.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.keys.Peek(key); ok {
		k.v = nil
	}
}

// see adds to what the session has seen of a key.
func (m *memory) see(key kvs.Key, clock lattice.VectorClock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.atLocked(key)
	k.seen = k.seen.Join(clock)
}

func (m *memory) seen(key kvs.Key) lattice.VectorClock {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.keys.Get(key); ok {
		return k.seen
	}
	return nil
}

const (
	// pastMost is how many are told; older ones are given up for a time.
	pastMost = 64
)

// past is what a session has read and written at the levels whose writes depend on that.
type past struct {
	mu    sync.Mutex // guards what follows
	deps  map[kvs.Key]Dep
	after uint64
}

func depends(level kvs.Level) bool { return level == kvs.MultiKey || level == kvs.DistributedSession }

func (p *past) note(level kvs.Level, v *Version, clock *hlc.Clock) {
	if !depends(level) {
		return
	}
	now := clock.Now().Time
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deps == nil {
		p.deps = make(map[kvs.Key]Dep)
	}
	if v.Revision != 0 {
		p.addLocked(Dep{Key: v.Key, Revision: v.Revision, Time: now})
	}
	for _, d := range v.Deps {
		p.addLocked(d)
	}
	p.after = max(p.after, v.After)
	if len(p.deps) > 2*pastMost {
		kept, after := PruneDeps(p.listLocked(""), Since(now), pastMost)
		clear(p.deps)
		for _, d := range kept {
			p.deps[d.Key] = d
		}
		p.after = max(p.after, after)
	}
}

func (p *past) addLocked(d Dep) {
	if old, ok := p.deps[d.Key]; !ok || old.Revision <= d.Revision {
		p.deps[d.Key] = d
	}
}

func (p *past) listLocked(but kvs.Key) []Dep {
	all := make([]Dep, 0, len(p.deps))
	for key, d := range p.deps {
		if key != but {
			all = append(all, d)
		}
	}
	SortDeps(all)
	return all
}

// dependencies of a write to key.
func (p *past) dependencies(level kvs.Level, key kvs.Key, clock *hlc.Clock) ([]Dep, uint64) {
	if !depends(level) {
		return nil, 0
	}
	now := clock.Now().Time
	p.mu.Lock()
	defer p.mu.Unlock()
	deps, after := PruneDeps(p.listLocked(key), Since(now), pastMost)
	if after = max(after, p.after); after < Since(now) {
		after = 0
	}
	return deps, after
}

// missed reports whether revision r of a key may be older than what the session depends on.
func (p *past) missed(level kvs.Level, key kvs.Key, r kvs.Revision, clock *hlc.Clock) bool {
	if !depends(level) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deps[key].Revision > r || p.after != 0 && p.after >= Since(clock.Now().Time)
}

const (
	skewEvery = time.Minute      // how often the clock is compared
	skewAgain = 10 * time.Second // and how often where it was wrong
)

// skew tells whether this machine's clock is right enough to order writes.
type skew struct {
	outside func() time.Duration

	mu   sync.Mutex // guards what follows
	at   time.Time  // of the last comparison with the store's clock
	off  time.Duration
	busy bool
}

// check refuses a write of a machine whose clock is wrong.
func (s *skew) check() error {
	if s.outside != nil {
		return skewed(s.outside())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) > skewAgain {
		return nil // the write finds out
	}
	return skewed(s.off)
}

func skewed(off time.Duration) error {
	if off.Abs() <= hlc.MaxSkew {
		return nil
	}
	return fault.New(fault.ClockSkew, "this machine's clock is %v off the fleet's: it may not write until its clock is set; check its time service", off.Round(time.Millisecond))
}

// probe compares the clocks by a write that was begun at begin and has just been stored, now and then.
func (s *skew) probe(ctx context.Context, store kvs.Store, key kvs.Key, rev kvs.Revision, begin time.Time) error {
	if s.outside != nil {
		return nil
	}
	end := time.Now()
	s.mu.Lock()
	every := skewEvery
	if s.off.Abs() > hlc.MaxSkew {
		every = skewAgain
	}
	if s.busy || !s.at.IsZero() && end.Sub(s.at) < every {
		s.mu.Unlock()
		return nil
	}
	s.busy = true
	s.mu.Unlock()
	entries, err := store.GetMany(ctx, []kvs.Key{key})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	if err == nil && entries[0].Revision == rev { // else the next write will tell
		s.at, s.off = end, 0
		switch written := entries[0].Written; {
		case written.After(end):
			s.off = end.Sub(written)
		case written.Before(begin):
			s.off = begin.Sub(written)
		}
	}
	return skewed(s.off)
}
