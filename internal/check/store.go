package check

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// weather is what befalls the store, as one node sees it.
type weather struct {
	down    atomic.Bool   // nothing answers
	lose    atomic.Uint32 // of pushes, in thousandths
	mislay  atomic.Uint32 // of answers to writes that were carried out, in thousandths
	lost    atomic.Uint64
	late    atomic.Uint64
	twice   atomic.Uint64
	mislaid atomic.Uint64
	refused atomic.Uint64
	mu      sync.Mutex // guards rng
	rng     *rand.Rand
	latency time.Duration
}

func (w *weather) draw(thousandths uint32) bool {
	if thousandths == 0 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Uint32N(1000) < thousandths
}

var errDown = fault.New(fault.Unavailable, "the store does not answer (injected)").With(func(e *fault.Error) { e.RetryAfter = 50 * time.Millisecond })

// store is a kvs.Store in its weather.
type store struct {
	kvs.Store
	w *weather
}

// wait is how long a request takes, and whether it is answered.
func (s *store) wait(ctx context.Context) error {
	if s.w.down.Load() {
		s.w.refused.Add(1)
		return errDown
	}
	if s.w.latency == 0 {
		return nil
	}
	s.w.mu.Lock()
	d := time.Duration(s.w.rng.Int64N(int64(2 * s.w.latency)))
	s.w.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fault.From(ctx.Err())
	}
}

// answered reports whether the answer to a write that was carried out arrives.
func (s *store) answered() error {
	if s.w.draw(s.w.mislay.Load()) {
		s.w.mislaid.Add(1)
		return errDown
	}
	return nil
}

func (s *store) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	if err := s.wait(ctx); err != nil {
		return kvs.Entry{}, err
	}
	return s.Store.Get(ctx, key)
}

func (s *store) GetMany(ctx context.Context, keys []kvs.Key) ([]kvs.Entry, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.GetMany(ctx, keys)
}

func (s *store) Current(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	if err := s.wait(ctx); err != nil {
		return kvs.Entry{}, err
	}
	return s.Store.Current(ctx, key)
}

func (s *store) Put(ctx context.Context, key kvs.Key, v value.Value, o kvs.PutOptions) (kvs.Revision, error) {
	if err := s.wait(ctx); err != nil {
		return 0, err
	}
	return s.Store.Put(ctx, key, v, o)
}

func (s *store) WriteMany(ctx context.Context, writes []kvs.Write, fence kvs.Fence) ([]kvs.Result, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	out, err := s.Store.WriteMany(ctx, writes, fence)
	if err == nil {
		err = s.answered()
	}
	return out, err
}

func (s *store) Commit(ctx context.Context, writes []kvs.Write, checks []kvs.Check, fence kvs.Fence) ([]kvs.Revision, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Commit(ctx, writes, checks, fence)
}

func (s *store) News(ctx context.Context, held []kvs.Held, since kvs.Mark) ([]kvs.Entry, kvs.Mark, error) {
	if err := s.wait(ctx); err != nil {
		return nil, since, err
	}
	return s.Store.News(ctx, held, since)
}

func (s *store) Follow(ctx context.Context) (kvs.Feed, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	in, err := s.Store.Follow(ctx)
	if err != nil {
		return nil, err
	}
	f := &feed{Feed: in, w: s.w, out: make(chan kvs.Push, 1024), done: make(chan struct{})}
	go f.run()
	return f, nil
}

// feed loses pushes, repeats them, and holds some back so that later ones pass them.
type feed struct {
	kvs.Feed
	w    *weather
	out  chan kvs.Push
	done chan struct{}
	once sync.Once
}

func (f *feed) Changes() <-chan kvs.Push { return f.out }

func (f *feed) Close() {
	f.once.Do(func() { close(f.done) })
	f.Feed.Close()
}

func (f *feed) run() {
	defer close(f.out)
	var held []kvs.Push
	for p := range f.Feed.Changes() {
		switch n := f.w.lose.Load(); {
		case f.w.down.Load(), f.w.draw(n):
			f.w.lost.Add(1)
			continue
		case f.w.draw(n):
			f.w.late.Add(1)
			held = append(held, p)
			continue
		case f.w.draw(n):
			f.w.twice.Add(1)
			f.pass(p)
		}
		f.pass(p)
		if len(held) > 0 && f.w.draw(300) {
			f.pass(held[0])
			held = held[1:]
		}
	}
}

func (f *feed) pass(p kvs.Push) {
	select {
	case f.out <- p:
	case <-f.done:
	}
}
