package cache

import (
	"context"
	"sync"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// SessionConfig of one invocation's Session.
type SessionConfig struct {
	Run        string // names the run, and anew when it begins anew: under it versions are pinned
	Invocation Named  // in the whole fleet, the same whenever it is executed again; nil where it updates nothing
	App        string
	Level      kvs.Level
	// Ack of writes: kvs.Cached where it is kvs.AckDefault.
	Ack kvs.Ack
	// Carried is what the invocations before have seen, nil for nothing. It is left as it is.
	Carried *session.State
	// Home is the node that decides what the run sees, where its graph has parallel branches and its level is repeatable;
	// "" where what it sees travels along its one path.
	Home string
	// Last says that no other invocation of the run comes after: nothing has to be kept for it.
	Last bool
	// Buffer keeps all writes back until Finish, whatever the level.
	Buffer bool
}

// Named has a name, which is made when it is needed: most invocations never do.
type Named interface{ Name() string }

// Name is a Named that has one already.
type Name string

// Name implements Named.
func (n Name) Name() string { return string(n) }

// Session is what one invocation of a run reads and writes through: state at the run's consistency level. Safe for
// concurrent use. It ends with Finish, or with Abort, after which nothing of it was seen by anybody.
type Session struct {
	cfg   SessionConfig
	l     *Cachelet
	c     *Cache
	plain bool // nothing to watch over: reads and writes are the cachelet's

	mu     sync.Mutex // guards what follows
	state  *session.State
	buffer []version.Mutation
	pinned []*item
	ops    uint32
	name   string             // of the invocation, once it was needed
	writes uint32             // of the run so far, as far as its version home has said
	asked  map[kvs.Key]uint32 // what writes was when the version home was asked for a key
	over   bool
}

// Begin makes the session of one invocation.
func (c *Cache) Begin(cfg SessionConfig) (*Session, error) {
	if err := cfg.Level.Check(); err != nil {
		return nil, err
	}
	l, err := c.cachelets.get(cfg.App)
	if err != nil {
		return nil, err
	}
	if cfg.Ack == kvs.AckDefault {
		cfg.Ack = kvs.Cached
	}
	s := &Session{cfg: cfg, l: l, c: c, plain: cfg.Level == kvs.LWW && !cfg.Buffer}
	if !s.plain {
		if cfg.Home != "" {
			s.asked = make(map[kvs.Key]uint32)
		}
		if cfg.Carried != nil {
			s.state = cfg.Carried.Clone()
			// What is written here comes after what the run has seen and written elsewhere.
			c.cfg.Clock.Observe(hlc.Stamp{Time: s.state.Latest()})
		} else {
			s.state = session.New(cfg.Level)
			s.state.Reserve(l.extent(cfg.Level))
		}
	}
	return s, nil
}

// Get reads a key; not_found where there is none. See Siblings for what else a causal level may keep.
func (s *Session) Get(ctx context.Context, key kvs.Key) (value.Value, error) {
	var v *item
	var err error
	if s.plain {
		v, err = s.l.find(ctx, key)
	} else {
		v, err = s.read(ctx, key)
	}
	if err != nil {
		return value.Value{}, err
	}
	return v.Value, nil
}

// GetMany is Get of several keys, in their order. What this node does not have it reads together, before. Values stand by their
// keys' places; null where there is none.
func (s *Session) GetMany(ctx context.Context, keys []kvs.Key) ([]value.Value, error) {
	if s.plain {
		return s.l.GetMany(ctx, keys)
	}
	if s.cfg.Level != kvs.Strong { // for which what is here is not good enough
		_, _ = s.l.GetMany(ctx, keys) // ahead: what the run has read or written already may need nothing that fails here
	}
	out := make([]value.Value, len(keys))
	for i, key := range keys {
		v, err := s.Get(ctx, key)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// Version is Get with all that is known of what was read.
func (s *Session) Version(ctx context.Context, key kvs.Key) (*version.Version, error) {
	var it *item
	var err error
	if s.plain {
		it, err = s.l.find(ctx, key)
	} else {
		it, err = s.read(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	return &it.Version, nil
}

// Siblings gives all values that were written concurrently, the one that Get gives first.
func (s *Session) Siblings(ctx context.Context, key kvs.Key) ([]value.Value, error) {
	v, err := s.Version(ctx, key)
	if err != nil {
		return nil, err
	}
	return v.Siblings(), nil
}

func (s *Session) read(ctx context.Context, key kvs.Key) (*item, error) {
	if err := key.Check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, errOver
	}
	return s.readLocked(ctx, key)
}

var errOver = fault.New(fault.Cancelled, "the function has returned: its Context is no longer valid; wait for your goroutines before returning")

func (s *Session) readLocked(ctx context.Context, key kvs.Key) (*item, error) {
	if w, ok := s.state.Writes[key]; ok { // of a transaction
		v, err := s.written(ctx, key, w)
		if err != nil {
			return nil, err
		}
		return present(&item{Version: *v, dirty: true})
	}
	h := session.Hash(key)
	at := s.state.At(h, key)
	if at == nil {
		if it, err := s.quick(h, key); it != nil || err != nil {
			return it, err
		}
	}
	var known session.Read
	seen := at != nil
	if seen {
		if at.At != nil && s.keepsTo(at) {
			return present(at.At.(*item))
		}
		known = *at
	}
	switch s.cfg.Level {
	case kvs.Strong:
		return s.current(ctx, key)
	case kvs.RepeatableRead, kvs.DistributedSession:
		if !seen {
			return present2(s.first(ctx, key))
		}
		if s.cfg.Home != "" && s.asked[key] != s.writes {
			got, err := s.askHome(ctx, Claim{Key: key, Level: s.cfg.Level, Known: true})
			if err != nil {
				return nil, err
			}
			s.asked[key] = s.writes
			if !got.Use.Same(known) {
				known = *got.Use
				s.state.Adopt(key, known)
			}
		}
		return present2(s.exact(ctx, key, known))
	case kvs.SingleKey, kvs.MultiKey:
		return present2(s.causal(ctx, key))
	case kvs.Transaction:
		return present2(s.transactional(ctx, key, known, seen))
	}
	return s.l.find(ctx, key) // kvs.LWW, whose own writes are kept back
}

// current is a linearizable read.
func (s *Session) current(ctx context.Context, key kvs.Key) (*item, error) {
	if s.c.cfg.Break == BreakProof {
		return s.l.find(ctx, key)
	}
	return present2(s.l.proven(ctx, key))
}
