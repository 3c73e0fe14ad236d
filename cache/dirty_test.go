package cache

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestBound: when the store is away, so much is acknowledged as cached and no more; writers wait, and end in a clear
// error with their contexts; what is held is read meanwhile; nothing is lost when it is back.
func TestBound(t *testing.T) {
	for name, cfg := range map[string]Config{
		"bytes": {MaxDirty: 20 * (writeBytes + 8), MaxDirtyAge: time.Hour},
		"age":   {MaxDirtyAge: 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			cfg.Store = s
			c := startWith(t, cfg)
			put(t, s, "held", 7)
			wantInt(t, c, "held", 7)
			s.refuse.Store(true)
			acknowledged := 0
			began := time.Now()
			for ; ; acknowledged++ {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				_, err := c.Main().PutWith(ctx, kvs.Key(fmt.Sprint(acknowledged)), value.MustOf(acknowledged), kvs.PutOptions{}, kvs.Cached)
				cancel()
				if err != nil {
					wantCode(t, err, fault.Unavailable)
					if !strings.Contains(err.Error(), "does not take writes") || fault.From(err).RetryAfter == 0 {
						t.Fatal(err)
					}
					break
				}
				if name == "age" {
					until(t, "a moment has passed", func() bool { return time.Since(began) > time.Duration(acknowledged)*time.Millisecond })
				}
			}
			if acknowledged == 0 || name == "bytes" && (acknowledged < 15 || acknowledged > 25) {
				t.Fatalf("%d writes were acknowledged", acknowledged)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := c.Main().PutWith(ctx, "k", value.MustOf(0), kvs.PutOptions{}, kvs.Cached)
			wantCode(t, err, fault.Cancelled)
			wantInt(t, c, "held", 7)
			for i := range acknowledged {
				wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
			}
			waiting := make(chan error, 1)
			go func() {
				_, err := c.Main().PutWith(context.Background(), "late", value.MustOf(1), kvs.PutOptions{}, kvs.Cached)
				waiting <- err
			}()
			s.refuse.Store(false)
			must(t, <-waiting)
			must(t, c.Flush(t.Context()))
			for i := range acknowledged {
				s.wantInt(t, kvs.Key(fmt.Sprint(i)), i)
			}
			s.wantInt(t, "late", 1)
			c.inspectQuiet(t)
		})
	}
}

// TestGivenUpWritesAreBounded: a write that somebody stopped waiting for is stored later, but not any number of them.
func TestGivenUpWritesAreBounded(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxDirty: 64 << 10})
	s.refuse.Store(true)
	const each = 8 << 10
	tried := 0
	for ; ; tried++ {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, err := c.Put(ctx, kvs.Key(fmt.Sprint(tried)), value.MustOf(make([]byte, each)))
		cancel()
		if fault.CodeOf(err) != fault.Unavailable && fault.CodeOf(err) != fault.DeadlineExceeded {
			t.Fatal(err)
		}
		if strings.Contains(err.Error(), "does not take writes") {
			break
		}
		if !strings.Contains(err.Error(), "may still be stored") {
			t.Fatal(err)
		}
	}
	if tried < 6 || tried > 12 || c.Stats().Dirty > 96<<10 {
		t.Fatalf("%d writes of %d bytes wait, %d bytes in all", tried, each, c.Stats().Dirty)
	}
	s.refuse.Store(false)
	must(t, c.Flush(t.Context()))
	for i := range tried {
		if v := s.inStore(t, kvs.Key(fmt.Sprint(i))); v.Absent {
			t.Fatalf("write %d was not stored", i)
		}
	}
	c.inspectQuiet(t)
}

// TestCloseStores and TestKillLoses: what Close and a crash make of writes that were acknowledged as cached.
func TestCloseStores(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxDirtyAge: time.Hour})
	under, letGo := s.holdWrites()
	defer letGo()
	cached(t, c, "first", 0)
	<-under
	for i := range 300 {
		cached(t, c, kvs.Key(fmt.Sprint(i)), i)
	}
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	until(t, "it takes no more", func() bool {
		_, err := c.Main().PutWith(t.Context(), "late", value.MustOf(0), kvs.PutOptions{}, kvs.Cached)
		return fault.Is(err, fault.Unavailable)
	})
	letGo()
	must(t, <-closed)
	for i := range 300 {
		s.wantInt(t, kvs.Key(fmt.Sprint(i)), i)
	}
}

func TestKillLoses(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxDirty: 100 * (writeBytes + 8)})
	var acknowledged, stored atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if _, err := c.Main().PutWith(context.Background(), kvs.Key(fmt.Sprint(w, "/", i)), value.MustOf(i), kvs.PutOptions{}, kvs.Cached); err != nil {
					wantCode(t, err, fault.Unavailable)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	until(t, "some are acknowledged", func() bool { return acknowledged.Load() > 5000 })
	c.Kill()
	wg.Wait()
	for w := range 4 {
		for i := 0; ; i++ {
			if s.inStore(t, kvs.Key(fmt.Sprint(w, "/", i))).Absent {
				break
			}
			stored.Add(1)
		}
	}
	// One that was not acknowledged any more may have been stored, by each writer.
	if lost := acknowledged.Load() - stored.Load(); lost > 110 {
		t.Fatalf("%d of %d writes are lost: more than fit into MaxDirty", lost, acknowledged.Load())
	} else {
		t.Logf("%d of %d lost", lost, acknowledged.Load())
	}
	must(t, c.Close())
}

func TestFlushAwayFromTheStore(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxDirtyAge: time.Hour})
	s.refuse.Store(true)
	cached(t, c, "k", 1)
	until(t, "it is tried", func() bool { return c.dirty.refused() != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantCode(t, c.Flush(ctx), fault.Unavailable)
	s.refuse.Store(false)
	must(t, c.Flush(t.Context()))
	s.wantInt(t, "k", 1)
}
