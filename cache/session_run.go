package cache

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Resolve is Cache.Resolve at the session's level.
func (s *Session) Resolve(ctx context.Context, args []value.Value) ([]value.Value, error) {
	if s.plain {
		return s.l.Resolve(ctx, args)
	}
	out := args
	for i := range args {
		ref, ok := args[i].Ref()
		if !ok {
			continue
		}
		if &out[0] == &args[0] {
			out = append([]value.Value(nil), args...)
		}
		v, err := s.Get(ctx, kvs.Key(ref))
		if err != nil {
			return nil, unresolved(err, i, string(ref))
		}
		out[i] = v
	}
	return out, nil
}

// Peek gives the version of a key that is in memory, stored or not; nil where none is.
func (c *Cache) Peek(key kvs.Key) *version.Version {
	if it := c.peek(key); it != nil {
		return &it.Version
	}
	return nil
}

// Apps lists the applications that have a cachelet here.
func (c *Cache) Apps() []string {
	all := c.cachelets.list()
	out := make([]string, len(all))
	for i, l := range all {
		out[i] = l.app
	}
	return out
}

// Replay puts recorded writes in the place of what was kept back: Finish stores those.
func (s *Session) Replay(writes []version.Mutation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errOver
	}
	s.buffer = writes
	for i := range writes {
		m := &writes[i]
		v, _, err := version.Apply(version.None(m.Key), m)
		if err != nil {
			continue // an operation on what is not known here: nobody reads it before it is stored
		}
		it, err := itemOf(v, time.Now())
		if err != nil {
			return err
		}
		it.Revision, it.dirty = 0, true
		s.state.Wrote(&it.Version, s.c.cfg.Node, it, m.Stamp.Time, m.Context)
	}
	return nil
}

// unresolved says which argument could not be had.
func unresolved(err error, i int, ref string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "argument %d refers to key %q, under which there is no value: put it first", i+1, ref)
	}
	e := fault.From(err)
	return e.With(func(e *fault.Error) {
		*e = *fault.New(e.Code, "argument %d refers to key %q: %w", i+1, ref, err)
	})
}
