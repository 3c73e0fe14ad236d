package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/squall-faas/squall/kvs"
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
	keys := zipf()
	for range 2 {
		for i, key := range keys {
			if _, err := c.Get(b.Context(), key); err != nil {
				b.Fatal(err)
			}
			if i%1000 == 0 {
				c.policy.Wait()
			}
		}
	}
	return c, keys
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
