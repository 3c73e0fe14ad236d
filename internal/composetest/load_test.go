//go:build compose

package composetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
)

// load is what goes on while harm is done: durable runs that count, puts, and sync calls.
type load struct {
	c     *client.Client
	stop  context.CancelFunc
	work  sync.WaitGroup
	began time.Time

	runs, runsFailed   atomic.Int64 // durable runs that were acknowledged, by their outcome
	puts, putsUnsure   atomic.Int64
	calls, callsFailed atomic.Int64

	mu       sync.Mutex     // guards what follows
	wrote    map[string]int // the last put of each key that was acknowledged
	tried    map[string]int // the last put that was begun
	errs     map[fault.Code]int
	bad      []string      // errors that nobody could act upon
	slowest  time.Duration // of the sync calls that succeeded
	outcomes []string      // of durable runs that failed
}

const (
	counter     = "tally/total"
	putWorkers  = 4
	runWorkers  = 3
	callWorkers = 3
)

func startLoad(c *client.Client) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{c: c, stop: stop, began: time.Now(), wrote: map[string]int{}, tried: map[string]int{}, errs: map[fault.Code]int{}}
	for w := range putWorkers {
		l.work.Go(func() { l.put(ctx, fmt.Sprint("put/", w)) })
	}
	for w := range runWorkers {
		l.work.Go(func() { l.run(ctx, w) })
	}
	for range callWorkers {
		l.work.Go(func() { l.call(ctx) })
	}
	return l
}

// end waits until what is under way has ended.
func (l *load) end() {
	l.stop()
	l.work.Wait()
}

func (l *load) put(ctx context.Context, key string) {
	for n := 1; ctx.Err() == nil; n++ {
		l.mu.Lock()
		l.tried[key] = n
		l.mu.Unlock()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := l.c.Put(limit, key, n)
		cancel()
		if err != nil {
			l.putsUnsure.Add(1)
			l.failed(err)
			continue
		}
		l.puts.Add(1)
		l.mu.Lock()
		l.wrote[key] = n
		l.mu.Unlock()
	}
}

// run starts durable runs and waits for each, however long that takes: what was acknowledged must end well.
func (l *load) run(ctx context.Context, worker int) {
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
		// One key for all attempts: whether the first was admitted may not be known.
		key := client.IdempotencyKey(fmt.Sprintf("count-%d-%d", worker, n))
		var r *client.Run
		var err error
		for r == nil && limit.Err() == nil {
			if r, err = l.c.Start(limit, "count", []any{counter, n}, client.Durable(), key); err != nil {
				l.failed(err)
			}
		}
		for r != nil && limit.Err() == nil {
			if _, err = r.Get(limit); err == nil {
				break
			}
			if s, e := r.Poll(limit); e == nil && s.Done() {
				if s.Err == nil {
					err = nil
				}
				break
			}
		}
		cancel()
		if err != nil || r == nil {
			l.runsFailed.Add(1)
			l.mu.Lock()
			l.outcomes = append(l.outcomes, fmt.Sprintf("worker %d, run %d, begun %v after the load: %v, %v", worker, n, began.Sub(l.began).Round(time.Millisecond), l.state(r), err))
			l.mu.Unlock()
			continue
		}
		l.runs.Add(1)
	}
}

// state is what the coordinator says of a run.
func (l *load) state(r *client.Run) string {
	if r == nil {
		return "not admitted"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := r.Poll(ctx)
	return fmt.Sprintf("run %s is %s (%v, %v)", r.ID(), s.State, s.Err, err)
}

func (l *load) call(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		began := time.Now()
		got, err := client.Call[int](limit, l.c, "double", n)
		cancel()
		l.calls.Add(1)
		switch {
		case err != nil:
			l.callsFailed.Add(1)
			l.failed(err)
		case got != 2*n:
			l.mu.Lock()
			l.bad = append(l.bad, fmt.Sprintf("double(%d) = %d", n, got))
			l.mu.Unlock()
		default:
			l.mu.Lock()
			l.slowest = max(l.slowest, time.Since(began))
			l.mu.Unlock()
		}
	}
}

// failed notes an error: it must say that the same may succeed later.
func (l *load) failed(err error) {
	f := fault.From(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs[f.Code]++
	if !f.Retryable() && len(l.bad) < 20 {
		l.bad = append(l.bad, err.Error())
	}
}

// judge compares what was acknowledged with what is there.
func (l *load) judge(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	lost := 0
	for key, wrote := range l.wrote {
		got, err := client.Get[int](ctx, l.c, key, client.Consistency(client.Strong))
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		if got < wrote || got > l.tried[key] {
			t.Errorf("%s is %d, and %d was acknowledged", key, got, wrote)
			lost++
		}
	}
	total, err := client.Get[int64](ctx, l.c, counter, client.Consistency(client.Strong))
	if err != nil {
		t.Error(err)
	}
	t.Logf("durable runs: %d acknowledged and ended well, %d not; the counter is %d", l.runs.Load(), l.runsFailed.Load(), total)
	t.Logf("puts: %d acknowledged, %d with an unknown outcome, %d keys lost one", l.puts.Load(), l.putsUnsure.Load(), lost)
	t.Logf("sync calls: %d, %d failed, the slowest took %v; errors: %v", l.calls.Load(), l.callsFailed.Load(), l.slowest.Round(time.Millisecond), l.errs)
	if total != l.runs.Load() || l.runsFailed.Load() != 0 {
		t.Errorf("%d durable runs, and the counter is %d; %d failed: %v", l.runs.Load(), total, l.runsFailed.Load(), l.outcomes)
	}
	if len(l.bad) > 0 {
		t.Errorf("errors that do not say that a retry may help, or wrong results: %q", l.bad)
	}
	if l.runs.Load() < 10 || l.puts.Load() < 100 || l.calls.Load() < 100 {
		t.Error("so little went on that it proves nothing")
	}
}
