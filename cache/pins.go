package cache

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// pins are the versions that this node keeps for runs, by run, and the sessions of runs whose version home it is. What a
// run has read stays readable for its other nodes, however often it is overwritten, until the run is released.
type pins struct {
	bytes   atomic.Int64 // of all that is pinned
	outside atomic.Int64 // of those that are not in the table, and are kept for runs alone
	limit   int64        // of bytes

	mu       sync.Mutex // guards what follows
	runs     map[string]*snapshot
	released *recent.Window[string, struct{}] // runs that come too late find nothing to do
}

// rememberReleased is how many released runs are remembered.
const rememberReleased = 4096

// snapshot is what is kept for one run.
type snapshot struct {
	mu    sync.Mutex // guards what follows
	items map[kvs.Key][]*item
	home  *session.State // where this node is the run's version home
	life  uint64         // names home
	wrote uint32         // how often the run has written, as far as its version home knows
	over  bool
}

func (p *pins) init(limit int64) {
	p.limit, p.runs, p.released = limit, make(map[string]*snapshot), recent.New[string, struct{}](rememberReleased)
}

// of gives a run's snapshot, and makes it at the first time.
func (p *pins) of(run string) *snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.runs[run]
	if s == nil {
		if p.released.Has(run) {
			return &snapshot{over: true}
		}
		s = &snapshot{items: make(map[kvs.Key][]*item)}
		p.runs[run] = s
	}
	return s
}

func (p *pins) find(run string) *snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs[run]
}

// adopt takes over pins of a try that has ended well.
func (s *snapshot) adopt(c *Cache, items []*item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range items {
		if s.over {
			it.unpin(c)
		} else {
			s.items[it.Key] = append(s.items[it.Key], it)
		}
	}
}

// drop lets go of one pin.
func (s *snapshot) drop(c *Cache, it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.items[it.Key], it); i >= 0 {
		s.items[it.Key] = slices.Delete(s.items[it.Key], i, i+1)
		it.unpin(c)
	}
}

// get gives the version that was read.
func (s *snapshot) get(key kvs.Key, r session.Read) *item {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items[key] {
		if it.own == r.Own && r.Is(&it.Version) {
			return it
		}
	}
	return nil
}

// Release lets go of what is kept for a run. Idempotent; a run that is not known here has nothing.
func (c *Cache) Release(run string) {
	c.pins.mu.Lock()
	s := c.pins.runs[run]
	delete(c.pins.runs, run)
	c.pins.released.Add(run, struct{}{})
	c.pins.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, items := range s.items {
		for _, it := range items {
			it.unpin(c)
		}
	}
	s.items, s.home = nil, nil
}

// PinnedRuns is for how many runs something is kept here.
func (c *Cache) PinnedRuns() int {
	c.pins.mu.Lock()
	defer c.pins.mu.Unlock()
	return len(c.pins.runs)
}

// Pinned gives another node of a run the version that was read here; snapshot_lost where it is not kept (any more).
func (c *Cache) Pinned(run string, key kvs.Key, r session.Read) (*version.Version, error) {
	if s := c.pins.find(run); s != nil {
		if it := s.get(key, r); it != nil {
			return &it.Version, nil
		}
	}
	return nil, snapshotLost(key, c.cfg.Node)
}

func snapshotLost(key kvs.Key, node string) error {
	return fault.New(fault.SnapshotLost, "the version of key %.64q that the run has read is not on node %s any more: the run begins again", string(key), node)
}

func (c *Cache) noRoom() error {
	return fault.New(fault.SnapshotMemory, "the versions that runs have pinned on this node fill their half of its cache (%d bytes): give it more memory, or let runs read less at once", c.pins.limit)
}

// Claim is a version that a run with parallel branches wants to see, as its version home judges it: what one branch has
// seen first, all others see.
type Claim struct {
	Key   kvs.Key       `cbor:"1,keyasint"`
	Level kvs.Level     `cbor:"2,keyasint"`
	Read  session.Read  `cbor:"3,keyasint"`
	Deps  []version.Dep `cbor:"4,keyasint,omitempty"`
	After uint64        `cbor:"5,keyasint,omitempty"`
	For   bool          `cbor:"6,keyasint,omitempty"` // asks for the dependencies of a write to Key instead
	Now   uint64        `cbor:"7,keyasint,omitempty"`
	Over  []hlc.Stamp   `cbor:"8,keyasint,omitempty"`  // of the run's own write: those of its own that it replaces
	Known bool          `cbor:"9,keyasint,omitempty"`  // asks what the run sees by now of Key, which it has seen
	Whole bool          `cbor:"10,keyasint,omitempty"` // of the own write: what is stored holds nothing else
	Life  uint64        `cbor:"11,keyasint,omitempty"` // of Claimed, 0 where nothing was claimed before
	Gone  bool          `cbor:"12,keyasint,omitempty"` // it is proven that the key is not there
}

// Claimed answers a Claim.
type Claimed struct {
	Verdict session.Verdict `cbor:"1,keyasint,omitempty"`
	Use     *session.Read   `cbor:"2,keyasint,omitempty"` // another version was there first
	Deps    []version.Dep   `cbor:"3,keyasint,omitempty"`
	After   uint64          `cbor:"4,keyasint,omitempty"`
	// Writes counts the run's own writes: what one branch knows of a key may be outdated by another's.
	Writes uint32 `cbor:"5,keyasint,omitempty"`
	// Life names what the version home remembers of the run: it may have to forget, and must not be taken for who has not.
	Life uint64 `cbor:"6,keyasint,omitempty"`
}

// Claim judges for a run whose version home this node is.
func (c *Cache) Claim(run string, m Claim) (Claimed, error) {
	s := c.pins.of(run)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.home == nil {
		s.home, s.life = session.New(m.Level), rand.Uint64()|1
	}
	if m.Life != 0 && m.Life != s.life {
		// What the run had seen so far is forgotten: this node was taken for dead meanwhile, and let go of it.
		return Claimed{}, fault.New(fault.SnapshotLost, "node %s has forgotten what the run has read: it begins again", c.cfg.Node)
	}
	st := s.home
	if m.For {
		deps, after := st.Dependencies(m.Key, m.Now)
		return Claimed{Deps: deps, After: after, Life: s.life}, nil
	}
	v := &version.Version{Key: m.Key, Revision: m.Read.Revision, Absent: m.Read.Absent, Deps: m.Deps, After: m.After}
	v.Stamp.Time, v.Stamp.Node = m.Read.Time, m.Read.Author
	if m.Read.Own {
		st.WroteOver(v, m.Read.Node, m.Now, m.Read.Context, m.Over)
		if m.Whole {
			st.SawAll(m.Key)
		}
		s.wrote++
		return Claimed{After: st.After, Writes: s.wrote, Life: s.life}, nil
	}
	if r, ok := st.Read(m.Key); ok || m.Known {
		return Claimed{Use: &r, After: st.After, Writes: s.wrote, Life: s.life}, nil
	}
	sight := session.SightOf(v)
	verdict := st.Judge(sight)
	if verdict == session.Behind && m.Gone {
		verdict = session.Fits
	}
	if verdict == session.Fits {
		st.Saw(sight, m.Read.Node, nil, m.Now)
	}
	return Claimed{Verdict: verdict, After: st.After, Writes: s.wrote, Life: s.life}, nil
}
