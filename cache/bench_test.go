package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

const benchKeys = 100_000

// zipf gives keys as they are asked for, drawn beforehand, so that the draw is not measured.
func zipf() []kvs.Key {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, benchKeys-1)
	keys := make([]kvs.Key, 1<<18)
	for i := range keys {
		keys[i] = kvs.Key(fmt.Sprintf("user:%08d", z.Uint64()))
	}
	return keys
}

var sum int

// read looks at every cache line of a value.
func read(b *testing.B, v value.Value) int {
	p, err := value.As[[]byte](v)
	if err != nil || len(p) != 1024 {
		b.Fatal(len(p), err)
	}
	n := 0
	for i := 0; i < len(p); i += 64 {
		n += int(p[i])
	}
	return n
}

func warm(b *testing.B) (*Cache, []kvs.Key) {
	c := start(b, endless(1024), 0)
	return c, warmUp(b, c)
}

func warmUp(b *testing.B, c *Cache) []kvs.Key {
	keys := zipf()
	for range 2 {
		for i, key := range keys {
			if _, err := c.Get(b.Context(), key); err != nil {
				b.Fatal(err)
			}
			if i%1000 == 0 {
				c.decided()
			}
		}
	}
	return keys
}

// BenchmarkHit: a value of 1 KiB, found and read, keys Zipf-distributed over 100,000.
func BenchmarkHit(b *testing.B) {
	c, keys := warm(b)
	before := c.Stats()
	i := 0
	for b.Loop() {
		v, err := c.Get(b.Context(), keys[i&(len(keys)-1)])
		if err != nil {
			b.Fatal(err)
		}
		sum += read(b, v)
		i++
	}
	after := c.Stats()
	b.ReportAllocs()
	b.ReportMetric(float64(after.Misses-before.Misses)/float64(i), "misses/op")
}

func BenchmarkHitParallel(b *testing.B) {
	c, keys := warm(b)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		n := 0
		for i := rand.IntN(len(keys)); pb.Next(); i++ {
			v, err := c.Get(b.Context(), keys[i&(len(keys)-1)])
			if err != nil {
				b.Fatal(err)
			}
			n += read(b, v)
		}
		_ = n
	})
}

// BenchmarkMiss: what the cache adds to a read of the store.
func BenchmarkMiss(b *testing.B) {
	c := start(b, endless(1024), MinMaxBytes)
	i := 0
	for b.Loop() {
		if _, err := c.Get(b.Context(), kvs.Key(fmt.Sprintf("key %d", i))); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportAllocs()
}

func BenchmarkPut(b *testing.B) {
	s := newStage(b)
	c := start(b, s, 0)
	v := value.MustOf(make([]byte, 1024))
	i := 0
	for b.Loop() {
		if _, err := c.Put(b.Context(), kvs.Key(fmt.Sprintf("key %d", i%1000)), v); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportAllocs()
}

// dependent is an endless store in which each value depends on some others.
type dependent struct {
	endless
	clock *hlc.Clock
}

func (d dependent) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	e, err := d.endless.Get(ctx, key)
	if err != nil {
		return e, err
	}
	// They were stored a while ago, and sessions still look at them.
	v := version.Version{Key: key, Value: e.Value, Stamp: hlc.At(d.clock.Wall().Add(-10*time.Second), 1)}
	v.State = lattice.MultiValue{Clock: lattice.VectorClock{1: 1}, Siblings: []lattice.Sibling{{Dot: lattice.Dot{Actor: 1, Counter: 1}, Stamp: v.Stamp, Value: e.Value}}}
	n := 0
	if _, err := fmt.Sscanf(string(key), "user:%d", &n); err != nil {
		return e, err
	}
	for i := range 8 {
		v.Deps = append(v.Deps, version.Dep{Key: kvs.Key(fmt.Sprintf("user:%08d", (n+1+i*i)%benchKeys)), Revision: e.Revision, Time: v.Stamp.Time})
	}
	version.SortDeps(v.Deps)
	w, err := v.Write(0)
	e.Meta, e.Written = w.Options.Meta, time.Now()
	return e, err
}

// BenchmarkSessionHit is BenchmarkHit inside of runs of 64 reads, at each level; each value depends on eight others.
func BenchmarkSessionHit(b *testing.B) {
	const reads = 64
	clock := hlc.New(1, nil)
	c := startWith(b, Config{Store: dependent{1024, clock}, Clock: clock, MaxBytes: 512 << 20})
	keys := warmUp(b, c)
	for _, level := range []kvs.Level{kvs.LWW, kvs.RepeatableRead, kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
		b.Run(level.String(), func(b *testing.B) {
			before := c.Stats()
			var s *Session
			i := 0
			for b.Loop() {
				if i%reads == 0 {
					if s != nil {
						if _, err := s.Finish(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
					var err error
					if s, err = c.Begin(SessionConfig{Run: "r", Level: level, Last: true}); err != nil {
						b.Fatal(err)
					}
				}
				v, err := s.Get(b.Context(), keys[i&(len(keys)-1)])
				if err != nil {
					b.Fatal(err)
				}
				sum += read(b, v)
				i++
			}
			b.ReportAllocs()
			b.ReportMetric(float64(c.Stats().Misses-before.Misses)/float64(i), "misses/op")
			s.Abort()
		})
	}
}
