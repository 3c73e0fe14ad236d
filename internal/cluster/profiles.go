package cluster

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/internal/forecast"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/profile/archive"
	"github.com/squall-faas/squall/kvs"
)

const (
	profileEvery = 5 * time.Millisecond // of a function's runs one in so long is looked at: it need not cost more than it tells
	profileStore = 10 * time.Second     // between two times that an executor stores what it has learnt
	profileQueue = 256                  // observations that wait to be taken up; what is beyond is left out
	profileWait  = accessTimeout        // for the store
)

// profiles are what an executor learns of functions and links: it observes them, stores what it knows in the system space,
// and begins with what all executors before it have known. Safe for concurrent use.
type profiles struct {
	store kvs.Store
	name  string
	log   *slog.Logger

	last     sync.Map // version → *atomic.Int64, when one of its runs was looked at
	observed chan func(*profile.Book)

	mu      sync.Mutex // guards what follows
	book    profile.Book
	changed bool

	end  sync.Once
	quit chan struct{}
	done sync.WaitGroup
}

func startProfiles(store kvs.Store, name string, log *slog.Logger) *profiles {
	p := &profiles{store: store, name: name, log: log, observed: make(chan func(*profile.Book), profileQueue), quit: make(chan struct{})}
	p.done.Go(p.learn)
	return p
}

// Wants implements executor.Profiler.
func (p *profiles) Wants(version string, now time.Time) bool {
	last, ok := p.last.Load(version)
	if !ok {
		last, _ = p.last.LoadOrStore(version, new(atomic.Int64))
	}
	at := last.(*atomic.Int64)
	before := at.Load()
	return now.UnixNano()-before >= int64(profileEvery) && at.CompareAndSwap(before, now.UnixNano())
}

// Ran implements executor.Profiler.
func (p *profiles) Ran(version string, in, out int64, took time.Duration) {
	r := profile.Run{At: time.Now().UnixMicro(), In: in, Out: out, Took: took}
	p.observe(func(b *profile.Book) { b.Function(version).Observe(r) })
}

// Loaded implements executor.Profiler.
func (p *profiles) Loaded(version string, took time.Duration) {
	c := profile.ColdStart{At: time.Now().UnixMicro(), Took: took}
	p.observe(func(b *profile.Book) { b.Function(version).ObserveCold(c) })
}

// transferred is offload.Config.Observed.
func (p *profiles) transferred(from string, bytes int64, took time.Duration) {
	t := profile.Transfer{At: time.Now().UnixMicro(), Bytes: bytes, Took: took}
	p.observe(func(b *profile.Book) { b.Link(profile.Pair{From: from, To: p.name}).Observe(t) })
}

func (p *profiles) observe(f func(*profile.Book)) {
	select {
	case p.observed <- f:
	default:
	}
}

// late is executor.Config.Late.
func (p *profiles) late(version string, in int64, quantile float64) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.book.Known(version)
	if f == nil {
		return 0, false
	}
	return f.Slow(in, quantile)
}

// launch is executor.Config.Launch. What a consumer takes before it reads is its cold start, as far as one was seen; what it
// waits for items is in no profile.
func (p *profiles) launch(producer, consumer string, in int64) (run, startup, work time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, runs := forecast.Call(&p.book, producer, in)
	if runs < forecast.Enough {
		return 0, 0, 0, false
	}
	second := p.book.Known(consumer)
	if second == nil || second.Runs() < forecast.Enough {
		return 0, 0, 0, false
	}
	x := second.Predict(first.Out)
	return first.Took, time.Duration(x.Cold.Value), time.Duration(x.Took.Value), true
}

// learn takes observations up until close.
func (p *profiles) learn() {
	p.recall()
	tick := time.NewTicker(profileStore)
	defer tick.Stop()
	for {
		select {
		case f := <-p.observed:
			p.mu.Lock()
			f(&p.book)
			p.changed = true
			p.mu.Unlock()
		case <-tick.C:
			p.keep()
		case <-p.quit:
			p.keep()
			return
		}
	}
}

// recall begins with what all executors know.
func (p *profiles) recall() {
	ctx, cancel := context.WithTimeout(context.Background(), profileWait)
	defer cancel()
	known, err := archive.Recall(ctx, p.store)
	if err != nil {
		p.log.Info("what executors know of functions was not read: this one learns it anew", "err", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.book.Merge(known)
}

// keep stores what has been learnt since the last time.
func (p *profiles) keep() {
	p.mu.Lock()
	changed := p.changed
	p.changed = false
	var b []byte
	if changed {
		b = p.book.Encode()
	}
	p.mu.Unlock()
	if !changed {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), profileWait)
	defer cancel()
	if err := archive.Keep(ctx, p.store, p.name, b); err != nil {
		p.log.Info("what this executor knows of functions was not stored", "err", err)
		p.mu.Lock()
		p.changed = true
		p.mu.Unlock()
	}
}

// close stores what was learnt and returns when nothing is under way any more. Idempotent.
func (p *profiles) close() {
	p.end.Do(func() { close(p.quit) })
	p.done.Wait()
}
